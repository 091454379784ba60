/** For tests only: appends batches for ever and prints the number of each one that was acknowledged. */
import { openStorage } from './index.ts'
import { noteMigrations } from './note.fixture.ts'

const [url = '', dataDir = ''] = process.argv.slice(2)
const storage = await openStorage({ url, dataDir, migrations: noteMigrations })
for (let batch = 1; ; batch++) {
  await storage.appendRows(
    'note',
    ['id', 'at'],
    [1, 2, 3].map((row) => [`${batch}-${row}`, batch]),
  )
  process.stdout.write(`${batch}\n`)
}
