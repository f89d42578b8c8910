// tus-js-client as a process: uploads one photo and says how it went as one
// JSON line. What was begun is remembered in a file, so that another process
// goes on where this one was cut off.
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { Upload, FileUrlStorage } from "tus-js-client"

/** Uploads a photo for the survey of a school, or goes on with it. */
export async function upload(server, token, bytes, { round, school, remember }) {
  const sha256 = createHash("sha256").update(bytes).digest("hex")
  return new Promise((resolve, reject) => {
    let resumed = false
    const sending = new Upload(bytes, {
      endpoint: `${server}/api/files`,
      headers: { authorization: `Bearer ${token}` },
      metadata: { sha256, round, school },
      urlStorage: new FileUrlStorage(remember),
      fingerprint: async () => sha256,
      retryDelays: [0],
      onSuccess: () => resolve({ sha256, resumed }),
      onError: reject,
    })
    sending.findPreviousUploads().then(([previous]) => {
      if (previous) sending.resumeFromPreviousUpload(previous)
      resumed = previous !== undefined
      sending.start()
    }, reject)
  })
}

const { server, token, file, ...photo } = JSON.parse(process.argv[2])
try {
  console.log(JSON.stringify({ ok: await upload(server, token, await readFile(file), photo) }))
} catch (error) {
  console.log(JSON.stringify({ error: error.message }))
}
