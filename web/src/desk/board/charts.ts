// What the charts draw. Floats serve the pictures only; every figure that is
// read stands beside them as the server printed it.

import type { EChartsCoreOption } from 'echarts/core'
import type { Outcome, StageSummary } from './types'

const COLOURS: Record<Outcome, string> = { met: '#2f8f5b', conditional: '#7a5cc0', undetermined: '#e0a526', not_met: '#c2403a' }
const SIGNS: Record<Outcome, string> = { met: '✓', conditional: '◐', undetermined: '?', not_met: '✗' }
const OUTCOMES: Outcome[] = ['met', 'conditional', 'undetermined', 'not_met']

/** The ends of a printed figure: `0.502`, `0.310–0.540`, `≥0.000`. */
function ends(printed: string): { low: number; high: number | null } | null {
  const [low, high] = printed.replace('≥', '').split('–')
  const number = Number(low)
  if (!low || Number.isNaN(number)) return null
  if (printed.startsWith('≥')) return { low: number, high: null }
  return { low: number, high: high === undefined ? number : Number(high) }
}

export interface ChartWords {
  coefficient: string
  open: string
  limit: string
  outcome: (outcome: Outcome) => string
}

/** Coefficients as bars with the limit; where they are open, from the least to the most possible. */
export function coefficientChart(summary: StageSummary, words: ChartWords): EChartsCoreOption {
  const tested = summary.coefficients.filter((one) => one.id !== 'mean')
  const limits = tested.map((one) => Number(one.limit)).filter((limit) => !Number.isNaN(limit))
  const limit = limits[0]
  const known = tested.map((one) => ends(one.printed))
  const bars = tested.map((one, index) => ({
    value: known[index]?.low ?? 0,
    itemStyle: { color: COLOURS[one.outcome ?? 'undetermined'] },
    label: { show: true, position: 'top', formatter: `${one.outcome ? `${SIGNS[one.outcome]} ` : ''}${one.printed}`, color: '#26303d', fontSize: 11 },
  }))
  const open = known.map((one) => (one?.high != null && one.high > one.low ? one.high - one.low : '-'))
  return {
    grid: { left: 44, right: 80, top: 28, bottom: 28 },
    tooltip: { trigger: 'axis', renderMode: 'richText', valueFormatter: () => '' },
    xAxis: { type: 'category', data: tested.map((one) => one.id), axisLabel: { color: '#26303d' } },
    yAxis: { type: 'value', min: 0, axisLabel: { color: '#4a5361' } },
    series: [
      {
        type: 'bar',
        name: words.coefficient,
        stack: 'coefficient',
        barMaxWidth: 44,
        data: bars,
        ...(limit !== undefined && {
          markLine: {
            symbol: 'none',
            silent: true,
            lineStyle: { color: '#7d0b0b', type: 'dashed', width: 2 },
            label: { formatter: `${words.limit} ${tested[0]?.limit ?? ''}`, color: '#7d0b0b' },
            data: [{ yAxis: limit }],
          },
        }),
      },
      { type: 'bar', name: words.open, stack: 'coefficient', barMaxWidth: 44, data: open, itemStyle: { color: '#f7e2ae', borderColor: '#b07a00', borderType: 'dashed' } },
    ],
  }
}

/** How many schools come out how, by indicator. */
export function tallyChart(summary: StageSummary, rule: string, words: ChartWords): EChartsCoreOption {
  const items = summary.items
  return {
    grid: { left: 44, right: 16, top: 40, bottom: 28 },
    legend: { top: 4, data: OUTCOMES.map((outcome) => words.outcome(outcome)) },
    tooltip: { trigger: 'axis', renderMode: 'richText' },
    xAxis: { type: 'category', data: items.map((item) => (item.id === 'rule' ? rule : item.id)), axisLabel: { color: '#26303d' } },
    yAxis: { type: 'value', minInterval: 1, axisLabel: { color: '#4a5361' } },
    series: OUTCOMES.map((outcome) => ({
      type: 'bar',
      name: words.outcome(outcome),
      stack: 'schools',
      barMaxWidth: 44,
      itemStyle: { color: COLOURS[outcome] },
      data: items.map((item) => item.tally[outcome]),
    })),
  }
}
