import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { principals, SessionStore } from 'connect-session-store-pg'
import express from 'express'
import session from 'express-session'
import { Accounts } from './accounts.js'
import { describe } from './browser.js'
import * as pages from './pages.js'
import { THINGS } from './things.js'

const DAY = 24 * 3600 * 1000

/** The shop; `pool` is a pg.Pool, `secret` signs the cookies. */
export function createApp({ pool, secret }) {
  const accounts = new Accounts(pool)
  const app = express()

  app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))
  app.use(protect)
  app.use(express.urlencoded({ extended: false }))
  app.use(
    session({
      store: new SessionStore({ pool }),
      secret,
      resave: false,
      saveUninitialized: false, // who only looks around gets neither a row nor a cookie
      cookie: { sameSite: 'lax', secure: 'auto' },
    }),
  )
  app.use(principals())

  app.get('/', async (req, res) => {
    send(res, pages.shop({ user: req.session.user, cart: cartOf(req.session), message: await messageOf(req) }))
  })

  // Each thing has a key of its own in the session, so that two tabs can put something in at once.
  app.post('/cart', (req, res) => {
    const { id } = THINGS.find((thing) => thing.id === field(req, 'thing')) ?? {}
    if (id) req.session[`cart.${id}`] = (req.session[`cart.${id}`] ?? 0) + 1
    res.redirect(303, '/#cart')
  })

  app.post('/cart/remove', (req, res) => {
    delete req.session[`cart.${field(req, 'thing')}`]
    res.redirect(303, '/#cart')
  })

  app.get('/login', (req, res) => {
    send(res, pages.login({ user: req.session.user }))
  })

  app.post('/login', async (req, res) => {
    const name = field(req, 'name')
    const refuse = () =>
      send(res.status(401), pages.login({ name, error: 'That name and password do not go together.' }))

    const account = await accounts.check(name, field(req, 'password'))
    if (!account) return refuse()
    // A new id for the same session, cart and all, which is the account's from now on.
    const user = { id: account.id, name: account.name }
    await req.session.login(account.id, describe(req.get('User-Agent')), { user })
    // A change of the password ends the sessions that there are. One that began just after it, with the old password
    // checked just before it, is found here.
    if (!(await accounts.isCurrent(account))) {
      await endSession(req)
      return refuse()
    }
    if (field(req, 'remember')) req.session.cookie.maxAge = 30 * DAY
    res.redirect(303, '/')
  })

  app.post('/logout', async (req, res) => {
    await endSession(req)
    res.redirect(303, '/')
  })

  app.get('/devices', needsLogin, async (req, res) => {
    send(res, await devicesPage(req, { message: await messageOf(req) }))
  })

  app.post('/devices/end', needsLogin, async (req, res) => {
    const ended = await req.session.revoke(field(req, 'handle'))
    req.session.message = ended ? 'The device is logged out.' : 'That device was logged out already.'
    res.redirect(303, '/devices')
  })

  app.post('/devices/end-others', needsLogin, async (req, res) => {
    const ended = await req.session.revokeOthers()
    req.session.message = `Logged out elsewhere: ${count(ended.length, 'device')}.`
    res.redirect(303, '/devices')
  })

  app.post('/devices/end-all', needsLogin, async (req, res) => {
    await accounts.logOutEverywhere(req.session.user.id)
    res.redirect(303, '/login')
  })

  app.post('/password', needsLogin, async (req, res) => {
    const { name } = req.session.user
    const refuse = async (error) => send(res.status(422), await devicesPage(req, { error }))

    const next = field(req, 'next')
    if (next.length < 8) return refuse('A new password has at least 8 characters.')
    const account = await accounts.check(name, field(req, 'current'))
    const changed = account && (await accounts.changePassword(account, next, req.sessionID))
    if (!changed) return refuse('That is not the current password.')
    req.session.message = 'The password is changed, and all other devices are logged out.'
    res.redirect(303, '/devices')
  })

  app.use((_req, res) => send(res.status(404), pages.problem('There is no such page.')))
  app.use((error, _req, res, next) => {
    console.error(error)
    if (res.headersSent) next(error)
    else send(res.status(500), pages.problem('Something went wrong. Try again in a moment.'))
  })
  return app
}

/**
 * SameSite=Lax keeps other sites from using the cookie in a POST. This refuses what they send without it, too: a login
 * as somebody else, and forms of other hosts of the same domain.
 */
function protect(req, res, next) {
  res.set({
    'Cache-Control': 'no-store', // after a logout, Back shows nothing
    'Content-Security-Policy':
      "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  })
  const from = req.get('Sec-Fetch-Site') ?? 'same-origin' // old browsers do not send it
  if (req.method === 'POST' && from !== 'same-origin') send(res.status(403), pages.problem('This form is not ours.'))
  else next()
}

function needsLogin(req, res, next) {
  if (req.session.user) next()
  else res.redirect(303, '/login')
}

async function devicesPage(req, { message, error }) {
  const { session } = req
  return pages.devices({ user: session.user, cart: cartOf(session), devices: await session.devices(), message, error })
}

function cartOf(session) {
  return THINGS.map((thing) => ({ ...thing, quantity: session[`cart.${thing.id}`] })).filter((item) => item.quantity)
}

/** What the request before wanted to say: shown once, also when two tabs load at the same time. */
async function messageOf({ session }) {
  return session.message && (await session.pop('message'))
}

/** A field of the form. Made-up forms have lists in it, or NUL, which is no text for the database. */
function field(req, name) {
  const value = req.body?.[name]
  return typeof value === 'string' && !value.includes('\0') ? value : ''
}

function endSession(req) {
  return promisify(req.session.destroy.bind(req.session))()
}

function count(n, noun) {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

function send(res, page) {
  res.type('html').send(String(page))
}
