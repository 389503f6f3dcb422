// PostgreSQL by PGHOST, PGUSER, …; PORT on 127.0.0.1, any free one without; SESSION_SECRET, the same for all instances.
import { once } from 'node:events'
import pg from 'pg'
import { createApp } from './app.js'

const pool = new pg.Pool()
pool.on('error', (error) => console.error(error.message)) // of an idle connection: the next request takes another

const app = createApp({ pool, secret: process.env.SESSION_SECRET })
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1')
await once(server, 'listening')
console.log(`http://127.0.0.1:${server.address().port}/`)

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)

/** Requests under way get their answers. The connections that browsers open ahead would stay until they are closed. */
async function stop() {
  setTimeout(() => server.closeAllConnections(), 3000).unref()
  await new Promise((resolve) => server.close(resolve))
  await pool.end()
}
