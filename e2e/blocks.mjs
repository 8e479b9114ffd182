// The code blocks of the README and of the pages in docs/.

import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'

const root = path.join(import.meta.dirname, '..')

/** Returns the pages by their paths from the root: their code blocks in order. */
export async function pages() {
  const inDocs = (await readdir(path.join(root, 'docs'), { recursive: true })).map((name) => `docs/${name}`)
  const beside = await readdir(root)
  const found = {}
  for (const name of [...beside, ...inDocs].filter((name) => name.endsWith('.md')).sort()) {
    found[name] = blocksOf(await readFile(path.join(root, name), 'utf8'))
  }
  return found
}

/**
 * Returns the code blocks of a page, which all have a fence. After the language, a fence has words (server) and
 * values (not-run="needs Android"); docs/testing.md explains them.
 */
export function blocksOf(text) {
  const blocks = []
  let open
  const lines = text.split('\n')
  lines.forEach((line, i) => {
    const fence = /^( *)```(.*)$/.exec(line)
    if (open && fence && fence[2] === '' && fence[1] === open.indent) {
      blocks.push(open)
      open = undefined
    } else if (open) {
      open.text += `${line.slice(open.indent.length)}\n`
    } else if (fence) {
      open = { indent: fence[1], line: i + 1, text: '', ...info(fence[2]) }
    } else if (/^ {4}\S/.test(line) && lines[i - 1] === '') {
      throw new Error(`the block in line ${i + 1} has no fence`) // and no mark
    }
  })
  if (open) throw new Error(`the block in line ${open.line} has no end`)
  return blocks
}

function info(words) {
  const [language, ...rest] = words.match(/[\w-]+="[^"]*"|\S+/g) ?? ['']
  const marks = {}
  for (const word of rest) {
    const [, name, value] = /^([\w-]+)(?:="?([^"]*)"?)?$/.exec(word) ?? [null, word]
    marks[name] = value ?? true
  }
  return { language, marks }
}

/** Whether the block is of a language, with this mark or, without one, with no mark. */
export function is(block, language, mark) {
  if (block?.language !== language) return false
  return mark ? mark in block.marks : Object.keys(block.marks).length === 0
}
