//! The stable codes of everything that can be wrong with a workbook.

use duxue_protocol::problem::Problem;

macro_rules! problems {
    ($($name:ident $code:literal $zh:literal $en:literal;)*) => {
        $(pub(super) const $name: Problem = Problem::new(concat!("import.", $code), $zh, $en);)*
        /// Every code, for the tests.
        #[cfg(test)]
        pub(super) const ALL: &[&Problem] = &[$(&$name),*];
    };
}

problems! {
    TOO_BIG "too_big" "文件太大" "the file is too big";
    NOT_READABLE "not_readable" "不是可以读取的 XLSX 或 CSV 文件" "not a readable XLSX or CSV file";
    ENCODING "encoding" "文字编码既不是 UTF-8 也不是 GB18030" "the text is neither UTF-8 nor GB18030";
    NO_SCHOOLS "no_schools" "没有找到含“学校标识码”列的工作表" "no sheet has a column 学校标识码 (school id)";
    TOO_MANY_ERRORS "too_many_errors" "错误太多，其余未列出" "too many errors; the rest is not listed";
    SHEET_IGNORED "sheet_ignored" "未识别的工作表，已忽略" "the sheet was not recognised and is ignored";
    ROW_IGNORED "row_ignored" "合计或说明行，已忽略" "a total or a note; ignored";
    HEADER_UNKNOWN "header_unknown" "不认识的列名" "unknown column";
    HEADER_DUPLICATE "header_duplicate" "同一项目有两列" "two columns for the same thing";
    UNIT_MISSING "unit_missing" "金额列的列名必须写明单位（元或万元）" "a money column must name its unit (元 or 万元)";
    UNIT_WRONG "unit_wrong" "列名中的单位与项目不符" "the unit in the column's name does not fit";
    COLUMN_MISSING "column_missing" "缺少必需的列" "a required column is missing";
    REQUIRED "required" "必填项为空" "a required cell is empty";
    CELL_ERROR "cell_error" "单元格含有错误值" "the cell holds an error value";
    FORMULA_EMPTY "formula_empty" "公式没有计算结果，请用 Excel 打开并保存后再导入" "the formula has no result; open and save the file in Excel first";
    FORMULA_ZERO "formula_zero" "公式的结果是 0，请确认已计算" "the formula's stored result is 0; make sure that it was computed";
    NOT_NUMBER "not_number" "不是数字" "not a number";
    NEGATIVE "negative" "不能为负数" "must not be negative";
    NOT_WHOLE "not_whole" "必须是整数" "must be a whole number";
    OUT_OF_RANGE "out_of_range" "数值超出允许范围" "outside the allowed range";
    ROUNDED "rounded" "小数超过 6 位，已四舍五入" "more than six decimals; rounded half away from zero";
    SCHOOL_ID "school_id" "学校标识码必须是 10 位数字" "a school id has ten digits";
    SCHOOL_DUPLICATE "school_duplicate" "学校标识码重复" "the school id occurs twice";
    ROWS_DIFFER "rows_differ" "同一学校的两行不一致" "two rows of one school contradict each other";
    NAME "name" "学校名称太长" "the school's name is too long";
    KIND_UNKNOWN "kind_unknown" "不认识的办学类型" "unknown kind of school";
    KIND_KINDERGARTEN "kind_kindergarten" "幼儿园不属于义务教育督导范围" "a kindergarten is not in the scope of compulsory education";
    KIND_WITHOUT_STAGE "kind_without_stage" "高中和职业学校只有附设义务教育班才列入" "senior and vocational schools are listed only with attached compulsory classes";
    SETTING_UNKNOWN "setting_unknown" "城乡分类应为城区、镇区或乡村" "the setting is 城区, 镇区 or 乡村";
    SPONSOR "sponsor" "举办者类型应为 1 至 10" "the sponsor code is 1 to 10";
    YEAR "year" "建校年份不合理" "not a plausible year";
    YES_NO "yes_no" "应填是或否" "must be 是 or 否 (yes or no)";
    ASSUMED_NO "assumed_no" "未填，按“否”处理" "empty; taken as no";
    PARENT_UNKNOWN "parent_unknown" "主校不在名册中" "the parent school is not in the register";
    PARENT_CHAIN "parent_chain" "主校不能是自己，也不能是另一分校" "the parent must be another school that is not itself a branch";
    ATTACHED_UNKNOWN "attached_unknown" "不认识的附设班" "unknown attached class";
    PART_NOT_IN_SCHOOL "part_not_in_school" "该校没有这一学段，也未登记附设班" "the school has no such part and no attached classes of it";
    STAGE_UNKNOWN "stage_unknown" "学段应为小学或初中" "the stage is 小学 or 初中";
    STAGE_NEEDED "stage_needed" "该校有多个学段，此项须分学段填写" "the school has several parts; give this figure by part";
    TOTAL_DIFFERS "total_differs" "合计与分学段之和不符" "the total differs from the sum of its parts";
    PUPILS_MISSING "pupils_missing" "未填在校生数，相关指标将无法判定" "no number of pupils; indicators stay undetermined";
    SUBSET "subset" "不能大于所属总数" "greater than the whole that it is part of";
    CLASSES_DIFFER "classes_differ" "班级数、最大班额或在校生数与各班人数不符" "number of classes, largest class or pupils differ from the list of classes";
    CLASS_SIZE "class_size" "最大班额与在校生数、班级数矛盾" "the largest class contradicts pupils and classes";
    ROOMS_DIFFER "rooms_differ" "教室间数与逐间面积不符" "the number of rooms differs from the list of areas";
    LIST_PARTIAL "list_partial" "须同时填写；没有请填“无”" "give both lists; write 无 where there are none";
    LIST_ITEM "list_item" "列表中有一项不能识别" "an item of the list cannot be read";
    COMPONENT_MISSING "component_missing" "合计所需的分项未填全，该项按缺失处理" "a part of the sum is empty; the figure is taken as missing";
    OTHER_COUNTY "other_county" "行政区划代码不是本轮次的县" "the jurisdiction code is not the round's county";
    PLACE "place" "经纬度须成对填写且在范围内" "latitude and longitude must both be given and in range";
    COUNTY_ITEM_UNKNOWN "county_item_unknown" "不认识的县级填报项目" "unknown county item";
    COUNTY_ITEM_DUPLICATE "county_item_duplicate" "县级填报项目重复" "the county item occurs twice";
}
