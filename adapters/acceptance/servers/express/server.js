import { setTimeout as wait } from 'node:timers/promises'
import { principals, SessionStore } from 'connect-session-store-pg'
import express from 'express'
import session from 'express-session'
import pg from 'pg'

const DAY = 24 * 3600 * 1000

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
pool.on('error', (error) => console.error(error.message))

const app = express()
app.get('/untouched', (_req, res) => {
  res.json({})
})
app.use(
  session({
    store: new SessionStore({ pool }),
    secret: 'of the acceptance tests',
    resave: false,
    saveUninitialized: false,
    rolling: process.env.ROLLING === 'yes',
    cookie: { maxAge: Number(process.env.COOKIE_SECONDS ?? 3600) * 1000 },
  }),
)
app.use(principals())

app.get('/session', (req, res) => {
  const { cookie, ...data } = req.session
  res.json({ data })
})

app.post('/set', async (req, res) => {
  await wait(Number(req.query.wait ?? 0))
  req.session[req.query.key] = req.query.value
  res.json({})
})

app.post('/unset', (req, res) => {
  delete req.session[req.query.key]
  res.json({})
})

app.post('/login', async (req, res) => {
  await wait(Number(req.query.wait ?? 0))
  const { user, remember } = req.query
  await req.session.login(user, { browser: req.get('User-Agent') }, { user })
  if (remember === 'yes') req.session.cookie.maxAge = 30 * DAY
  res.json({})
})

app.get('/whoami', (req, res) => {
  res.json({ user: req.session.user ?? null })
})

app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.json({})))
})

app.post('/flash', (req, res) => {
  req.session.flash = req.query.message
  res.json({})
})

app.get('/flash', async (req, res) => {
  res.json({ message: (await req.session.pop('flash')) ?? null })
})

app.get('/devices', async (req, res) => {
  const devices = await req.session.devices()
  res.json({
    devices: devices.map((device) => ({
      handle: device.handle,
      is_this: device.isThis,
      attributes: device.attributes,
      last_seen: device.lastSeen,
    })),
  })
})

app.post('/revoke', async (req, res) => {
  res.json({ revoked: await req.session.revoke(req.query.handle) })
})

app.post('/revoke_others', async (req, res) => {
  res.json({ revoked: (await req.session.revokeOthers()).length })
})

const server = app.listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => server.close(() => process.exit()))
