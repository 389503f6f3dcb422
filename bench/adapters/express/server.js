// The requests of bench/adapters/load on express, with the store that STORE names.

import pgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import { principals, SessionStore } from 'connect-session-store-pg'
import express from 'express'
import session from 'express-session'
import pg from 'pg'
import { createClient } from 'redis'

const stores = {
  session_store: () => new SessionStore({ pool: pool(), prepare: true }),
  'connect-pg-simple': () => new (pgSimple(session))({ pool: pool(), createTableIfMissing: true }),
  'connect-redis': async () =>
    new RedisStore({ client: await createClient({ socket: { path: process.env.REDIS_SOCKET } }).connect() }),
}

function pool() {
  return new pg.Pool({ connectionString: process.env.DATABASE_URL })
}

// Each request answers with what the session holds then, so that the caller sees that the store has done its work.
function answer(req, res) {
  res.type('text').send(String(req.session?.seen ?? 'none'))
}

const app = express()
app.disable('etag')
app.use(
  session({
    store: await stores[process.env.STORE](),
    secret: 'of the benchmark',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 3600 * 1000 },
  }),
)
if (process.env.STORE === 'session_store') app.use(principals())

app.get('/untouched', (_req, res) => {
  res.type('text').send('none')
})
app.get('/read', answer)

app.post('/write', (req, res) => {
  req.session.seen = req.query.seen
  answer(req, res)
})

app.post('/first', (req, res) => {
  for (let i = 0; i < 10; i++) req.session[`key${i}`] = `value ${i} of ${req.query.seen} `.repeat(3)
  req.session.seen = req.query.seen
  answer(req, res)
})

app.post('/login', async (req, res) => {
  const { user } = req.query
  if (req.session.login) {
    await req.session.login(user, { browser: req.get('User-Agent') }, { user })
  } else {
    // What logs in without losing the visitor's content, as passport does with keepSessionInfo.
    const { cookie, ...content } = req.session
    await new Promise((done, failed) => {
      req.session.regenerate((error) => (error ? failed(error) : done()))
    })
    Object.assign(req.session, content, { user })
  }
  answer(req, res)
})

app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : answer(req, res)))
})

app.listen(Number(process.env.PORT), '127.0.0.1')
