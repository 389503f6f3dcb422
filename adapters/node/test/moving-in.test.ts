import { readFileSync } from 'node:fs'
import connectPgSimple from 'connect-pg-simple'
import express from 'express'
import session, { type Store } from 'express-session'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { SessionStore } from '../src'
import { addressOf, Browser, closeAfterTest } from './support'

/** The statements as the README has them. */
const README = readFileSync(`${import.meta.dirname}/../README.md`, 'utf8')
const [prepare = '', move = ''] = Array.from(
  (README.split('## Moving in')[1] ?? '').matchAll(/```sql\n(.*?)```/gs),
  ([, sql]) => sql,
)

const owner = new pg.Pool({ connectionString: process.env.OWNER_URL })
const NAME = 'moving_in'
let pool: pg.Pool

beforeAll(async () => {
  await owner.query(`DROP DATABASE IF EXISTS ${NAME}`)
  await owner.query(`CREATE DATABASE ${NAME} TEMPLATE template0`)
  pool = new pg.Pool({ database: NAME })
})

afterAll(async () => {
  await pool.end()
  // It waits for connections that are being closed; with FORCE one of them might be told so, and nobody listens any more.
  await owner.query(`DROP DATABASE ${NAME}`)
  await owner.end()
})

async function serve(store: Store): Promise<string> {
  const app = express()
  const maxAge = 86_400_000
  app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false, cookie: { maxAge } }))
  app.get('/', (req, res) => {
    const { cookie, ...data } = req.session
    res.json(data)
  })
  app.post('/set/:key/:value', (req, res) => {
    req.session[req.params.key] = req.params.value
    res.json({})
  })
  const server = app.listen(0, '127.0.0.1')
  closeAfterTest(() => server.close())
  return addressOf(server)
}

it('from connect-pg-simple: nobody is logged out', async () => {
  const url = new URL(process.env.OWNER_URL ?? '')
  url.pathname = `/${NAME}`
  const asOwner = new pg.Client({ connectionString: url.href })
  const old = new (connectPgSimple(session))({ pool, createTableIfMissing: true, pruneSessionInterval: false })
  await asOwner.connect()
  try {
    await asOwner.query('GRANT CREATE ON SCHEMA public TO app')
    const before = new Browser(await serve(old))
    await before.post('/set/user/ada')
    const gone = before.copy()
    gone.cookies.clear()
    await gone.post('/set/user/bob')
    await pool.query("UPDATE session SET expire = now() - interval '1 second' WHERE sid = $1", [gone.sid])
    await pool.query("UPDATE session SET expire = now() + interval '2 hours' WHERE sid = $1", [before.sid])

    await asOwner.query(prepare)
    expect((await pool.query(move)).rows).toEqual([{ moved: '1' }])

    const browser = new Browser(await serve(new SessionStore({ pool, schema: 'web' })))
    browser.cookies = before.cookies
    const hours = async () => {
      const text = 'SELECT extract(epoch FROM session_expiry - now()) / 3600 AS hours FROM web.session'
      return Number((await asOwner.query(text)).rows[0].hours)
    }
    expect(await hours()).toBeCloseTo(2, 2)
    expect(await browser.get('/')).toEqual({ user: 'ada' })
    // Used, it lives on as any other.
    expect(await hours()).toBeCloseTo(24, 1)
    await browser.post('/set/cart/umbrella')
    expect(await browser.get('/')).toEqual({ user: 'ada', cart: 'umbrella' })
    browser.cookies = gone.cookies
    expect(await browser.get('/')).toEqual({})
    expect((await pool.query(move)).rows).toEqual([{ moved: '0' }])
  } finally {
    await asOwner.end()
  }
})
