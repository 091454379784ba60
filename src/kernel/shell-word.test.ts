import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { shellWord } from './shell-word.ts'

test.each(['github/get_file', "x'; echo gone; '", '$(echo gone)', '`id`', 'two words\nand a line', '', '\\', "''"])(
  'a shell hears %j as it is',
  (text) => {
    expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' })).toBe(text)
  },
)
