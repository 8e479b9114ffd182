// The pages of a test, which come from this machine alone.

import { createServer } from 'node:http'

/** Serves what served has by path, [type, function that returns the content], on any free port of the loopback. */
export async function servePages(served) {
  const pages = createServer(async (req, res) => {
    const [type, content] = served[new URL(req.url, 'http://x').pathname] ?? []
    if (!type) return res.writeHead(404).end()
    res.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(await content())
  })
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
  return pages
}
