import { setTimeout as wait } from 'node:timers/promises'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import { principals, SessionStore } from 'connect-session-store-pg/fastify'
import Fastify from 'fastify'
import pg from 'pg'

const DAY = 24 * 3600 * 1000

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
pool.on('error', (error) => console.error(error.message))

const app = Fastify()

app.get('/untouched', async () => ({}))

app.register(async (app) => {
  app.register(cookie)
  app.register(principals)
  app.register(session, {
    store: new SessionStore({ pool }),
    secret: 'of the acceptance tests, and long enough',
    saveUninitialized: false,
    rolling: process.env.ROLLING === 'yes',
    cookie: { maxAge: Number(process.env.COOKIE_SECONDS ?? 3600) * 1000, secure: false },
  })

  app.get('/session', async ({ session }) => {
    const { cookie, ...data } = session
    return { data }
  })

  app.post('/set', async ({ session, query }) => {
    await wait(Number(query.wait ?? 0))
    session[query.key] = query.value
    return {}
  })

  app.post('/unset', async ({ session, query }) => {
    delete session[query.key]
    return {}
  })

  app.post('/login', async (request) => {
    const { user, remember, wait: milliseconds } = request.query
    await wait(Number(milliseconds ?? 0))
    await request.session.login(user, { browser: request.headers['user-agent'] }, { user })
    if (remember === 'yes') request.session.cookie.maxAge = 30 * DAY
    return {}
  })

  app.get('/whoami', async ({ session }) => ({ user: session.user ?? null }))

  app.post('/logout', async ({ session }) => {
    await session.destroy()
    return {}
  })

  app.post('/flash', async ({ session, query }) => {
    session.flash = query.message
    return {}
  })

  app.get('/flash', async ({ session }) => ({ message: (await session.pop('flash')) ?? null }))

  app.get('/devices', async ({ session }) => {
    const devices = await session.devices()
    return {
      devices: devices.map((device) => ({
        handle: device.handle,
        is_this: device.isThis,
        attributes: device.attributes,
        last_seen: device.lastSeen,
      })),
    }
  })

  app.post('/revoke', async ({ session, query }) => ({ revoked: await session.revoke(query.handle) }))

  app.post('/revoke_others', async ({ session }) => ({ revoked: (await session.revokeOthers()).length }))
})

await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
process.on('SIGTERM', () => app.close().then(() => process.exit()))
