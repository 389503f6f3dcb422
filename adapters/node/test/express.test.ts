import { promisify } from 'node:util'
import express, { type Request, type RequestHandler } from 'express'
import session, { type SessionOptions } from 'express-session'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { principals, SessionStore, type StoreOptions } from '../src'
import { addressOf, ask, Browser, closeAfterTest, connectWithoutServer, pool, remaining, sha256, wait } from './support'

declare module 'express-session' {
  interface SessionData {
    [key: string]: unknown
  }
}

const RECOMMENDED = { secret: 'secret', resave: false, saveUninitialized: false }

type Options = Partial<SessionOptions> & { storeOptions?: StoreOptions; handlers?: Record<string, RequestHandler> }

const regenerate = (req: Request) =>
  new Promise<void>((resolve, reject) => req.session.regenerate((error) => (error ? reject(error) : resolve())))

/** An application as its users would write it, and a browser for it. */
async function visit({ storeOptions, handlers = {}, ...options }: Options = {}): Promise<Browser> {
  const app = express()
  app.use(session({ ...RECOMMENDED, store: new SessionStore({ pool, ...storeOptions }), ...options }))
  app.use(principals())
  app.get('/', (req, res) => {
    const { cookie, ...data } = req.session
    res.json(data)
  })
  app.post('/set/:key/:value', async (req, res) => {
    await wait(Number(req.query.wait ?? 0))
    req.session[req.params.key] = req.params.value
    res.json({})
  })
  app.post('/data', express.json(), (req, res) => {
    Object.assign(req.session, req.body)
    res.json({})
  })
  app.post('/unset/:key', (req, res) => {
    delete req.session[req.params.key]
    res.json({})
  })
  app.post('/login/:user', async (req, res) => {
    const { user } = req.params
    await req.session.login(user, { browser: req.get('user-agent') }, { user })
    res.json({})
  })
  app.post('/renew', async (req, res) => {
    const { cookie, ...data } = req.session
    await wait(Number(req.query.wait ?? 0))
    await regenerate(req)
    Object.assign(req.session, data)
    res.json({})
  })
  app.post('/regenerate', async (req, res) => {
    await regenerate(req)
    res.json({})
  })
  app.post('/logout', (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.json({})))
  })
  app.get('/pop/:key', async (req, res) => {
    await wait(Number(req.query.wait ?? 0))
    res.json({ value: (await req.session.pop(req.params.key)) ?? null })
  })
  app.get('/devices', async (req, res) => {
    res.json(await req.session.devices())
  })
  app.post('/revoke/:handle', async (req, res) => {
    res.json(await req.session.revoke(req.params.handle))
  })
  app.post('/revoke_others', async (req, res) => {
    res.json(await req.session.revokeOthers())
  })
  for (const [path, handler] of Object.entries(handlers)) app.post(path, handler)
  const server = app.listen(0, '127.0.0.1')
  closeAfterTest(() => server.close())
  return new Browser(await addressOf(server))
}

const sessions = () => ask<string>('SELECT session_all()')

describe('express', () => {
  it('leaves neither a row nor a cookie of a visit that puts nothing into the session', async () => {
    const browser = await visit()
    const before = await sessions()
    expect(await pool.calls(() => browser.get('/'))).toEqual([])
    expect(browser.received).toEqual([])
    expect(await sessions()).toBe(before)
  })

  it('loads in one trip, saves in one, and sends nothing else', async () => {
    const browser = await visit({ cookie: { maxAge: 3_600_000 } })
    expect(await pool.calls(() => browser.post('/set/a/1'))).toEqual(['session_save'])
    expect(await pool.calls(() => browser.get('/'))).toEqual(['session_fetch'])
    expect(await pool.calls(() => browser.post('/set/a/1'))).toEqual(['session_fetch'])
    expect(await pool.calls(() => browser.post('/set/a/2'))).toEqual(['session_fetch', 'session_patch'])
    expect(await pool.calls(() => browser.post('/unset/a'))).toEqual(['session_fetch', 'session_patch'])
    expect(await browser.get('/')).toEqual({})
  })

  it('plans a statement once for each connection, if it is to', async () => {
    const pool = new pg.Pool({ max: 1 })
    closeAfterTest(() => pool.end())
    const plans = async (store: SessionStore) => {
      for (const sid of ['nobody', 'neither']) expect(await promisify(store.get.bind(store))(sid)).toBeNull()
      return (await pool.query('SELECT statement FROM pg_prepared_statements')).rows
    }
    expect(await plans(new SessionStore({ pool }))).toEqual([])
    expect(await plans(new SessionStore({ pool, prepare: true }))).toEqual([
      { statement: 'SELECT data::text FROM session_fetch($1, $2)' },
    ])
  })

  it('writes nothing for a plain read, with rolling and resave either', async () => {
    const browser = await visit({ cookie: { maxAge: 3_600_000 }, rolling: true, resave: true })
    await browser.post('/set/a/1')
    const second = await ask<string>(
      'SELECT extract(second FROM session_expiry - now()) FROM session WHERE session_expiry > now()',
    )
    if (Number(second) < 5) await wait(5000) // The server writes a new expiry once a minute.
    await browser.get('/')
    const version = await ask<string>('SELECT max(xmin::text) FROM session WHERE session_expiry > now()')
    expect(await pool.calls(() => browser.get('/'))).toEqual(['session_fetch'])
    expect(browser.received).toHaveLength(1)
    expect(await ask('SELECT max(xmin::text) FROM session WHERE session_expiry > now()')).toBe(version)
  })

  it('keeps what twenty parallel requests have put under different keys', async () => {
    const browser = await visit()
    await browser.post('/set/first/0')
    await Promise.all(Array.from({ length: 20 }, (_, i) => browser.copy().post(`/set/key${i}/${i}?wait=50`)))
    const expected = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`key${i}`, `${i}`]))
    expect(await browser.get('/')).toEqual({ first: '0', ...expected })
  })

  it('lets a logout win over a save that comes late, and over a late renewal', async () => {
    for (const late of ['/set/a/2?wait=400', '/renew?wait=400']) {
      const browser = await visit({ cookie: { maxAge: 3_600_000 } })
      await browser.post('/login/ada')
      const tab = browser.copy()
      const slow = tab.post(late)
      await wait(200)
      await browser.post('/logout')
      await slow
      expect(await browser.get('/')).toEqual({})
      expect(await tab.get('/')).toEqual({})
    }
  })

  it('renews the id at a login, and keeps the cart', async () => {
    const browser = await visit()
    await browser.post('/set/cart/umbrella')
    const stolen = browser.copy()
    expect(await pool.calls(() => browser.post('/login/ada'))).toEqual(['session_fetch', 'session_login'])
    expect(browser.sid).not.toBe(stolen.sid)
    expect(await browser.get('/')).toEqual({ cart: 'umbrella', user: 'ada' })
    expect(await stolen.get('/')).toEqual({})
  })

  it('takes nothing of one user along to another', async () => {
    const browser = await visit()
    await browser.post('/login/ada')
    await browser.post('/set/cart/umbrella')
    await browser.post('/login/bob')
    expect(await browser.get('/')).toEqual({ user: 'bob' })
  })

  it('logs in a browser that had no session, and one whose session has just ended', async () => {
    const browser = await visit({
      handlers: {
        '/late-login': async (req, res) => {
          await ask('SELECT session_destroy($1)', [req.sessionID])
          await req.session.login('ada')
          res.json({})
        },
      },
    })
    await browser.post('/login/ada')
    expect(await browser.get('/')).toEqual({ user: 'ada' })
    await browser.post('/set/cart/umbrella')
    await browser.post('/late-login')
    expect(await browser.get('/')).toEqual({})
    expect(await browser.get('/devices')).toHaveLength(1)
  })

  it('logs in where the server is strict about ids, too', async () => {
    await ask('ALTER ROLE app SET session_store.strict = on')
    const strict = new pg.Pool()
    closeAfterTest(async () => {
      await strict.end()
      await ask('ALTER ROLE app RESET session_store.strict')
    })
    const browser = await visit({ storeOptions: { pool: strict } })
    for (const cart of [{}, { cart: 'umbrella' }]) {
      if ('cart' in cart) await browser.post('/set/cart/umbrella')
      await browser.post('/login/ada')
      expect(await browser.get('/')).toEqual({ user: 'ada', ...cart })
      expect(await browser.get('/devices')).toHaveLength(1)
    }
  })

  it('neither loses nor resurrects a login when a request with the old cookie is under way', async () => {
    const browser = await visit({ cookie: { maxAge: 3_600_000 } })
    await browser.post('/set/cart/umbrella')
    const tab = browser.copy()
    const slow = tab.post('/set/a/1?wait=600')
    await wait(300)
    await browser.post('/login/ada')
    await slow
    expect(tab.received).toEqual([])
    expect(await tab.get('/')).toEqual({})
    expect(await browser.get('/')).toEqual({ cart: 'umbrella', user: 'ada' })
  })

  it('does not send the old id again where a message is looked for after a login', async () => {
    const browser = await visit({ cookie: { maxAge: 3_600_000 } })
    await browser.post('/set/flash/saved')
    const tab = browser.copy()
    const late = tab.get('/pop/flash?wait=600')
    await wait(300)
    await browser.post('/login/ada')
    expect(await late).toEqual({ value: null })
    expect(tab.received).toEqual([])
  })

  it('does not send the old id again where a session was saved before a login, and the answer comes after it', async () => {
    const browser = await visit({
      cookie: { maxAge: 3_600_000 },
      handlers: {
        '/slow': async (req, res) => {
          req.session.a = 1
          await promisify(req.session.save.bind(req.session))()
          await wait(400)
          res.json({})
        },
      },
    })
    await browser.post('/set/cart/umbrella')
    const tab = browser.copy()
    const slow = tab.post('/slow')
    await wait(200)
    await browser.post('/login/ada')
    await slow
    expect(tab.received).toEqual([])
  })

  it('leaves the request its session where a login fails', async () => {
    const browser = await visit({
      handlers: {
        '/failing': async (req, res) => {
          for (const nobody of ['', undefined as never]) {
            await expect(req.session.login(nobody)).rejects.toMatchObject({ code: '22023' })
          }
          res.json({ id: req.sessionID })
        },
      },
    })
    await browser.post('/set/cart/umbrella')
    expect(await browser.post('/failing')).toEqual({ id: browser.sid })
    expect(await browser.get('/')).toEqual({ cart: 'umbrella' })
  })

  it('keeps whom a session belongs to when the framework renews it: logging out everywhere ends it', async () => {
    const browser = await visit()
    await browser.post('/login/ada')
    const phone = browser.copy()
    phone.cookies.clear()
    await phone.post('/login/ada')
    await browser.post('/renew')
    expect(await browser.get('/devices')).toHaveLength(2)
    expect(await phone.post('/revoke_others')).toHaveLength(1)
    expect(await browser.get('/')).toEqual({})
    expect(await phone.get('/')).toEqual({ user: 'ada' })
  })

  it('empties the session when the framework renews it, at once and under the old id', async () => {
    let old = ''
    const browser = await visit({
      handlers: {
        '/look': async (req, res) => {
          old = req.sessionID
          await regenerate(req)
          res.json([
            await ask('SELECT session_exist($1)', [old]),
            await ask('SELECT data::jsonb - $2 FROM session_fetch($1)', [req.sessionID, 'cookie']),
          ])
        },
      },
    })
    await browser.post('/login/ada')
    expect(await browser.post('/look')).toEqual([false, {}])
  })

  it("makes a renewed session without content nobody's, since that is how some log out", async () => {
    const browser = await visit()
    await browser.post('/login/ada')
    await browser.post('/regenerate')
    expect(await browser.get('/devices')).toEqual([])
  })

  it('lists the devices, ends one, and ends all others', async () => {
    const browser = await visit()
    const [phone, tablet] = [browser.copy(), browser.copy()]
    for (const device of [browser, phone, tablet]) await device.post('/login/ada')
    const devices = (await browser.get('/devices')) as Record<string, unknown>[]
    expect(devices.map(({ isThis }) => isThis)).toEqual([true, false, false])
    expect(devices[0]).toMatchObject({ attributes: { browser: 'node' }, lastSeen: expect.any(String) })
    const [{ handle } = {}] = (await phone.get('/devices')) as Record<string, unknown>[]
    expect(await browser.post(`/revoke/${handle}`)).toBe(true)
    expect(await browser.post('/revoke/nonsense%00')).toBe(false)
    expect(await phone.get('/')).toEqual({})
    expect(await browser.post('/revoke_others')).toHaveLength(1)
    expect(await tablet.get('/')).toEqual({})
    expect(await browser.get('/')).toEqual({ user: 'ada' })
  })

  it('shows a flash message once, whoever asks at the same time', async () => {
    const browser = await visit()
    await browser.post('/set/flash/saved')
    const answers = await Promise.all(Array.from({ length: 5 }, () => browser.copy().get('/pop/flash?wait=50')))
    expect(answers.filter((answer) => (answer as { value: unknown }).value === 'saved')).toHaveLength(1)
    expect(await browser.get('/')).toEqual({})
  })

  it('pops what this request has set, without asking', async () => {
    const browser = await visit({
      handlers: {
        '/both': async (req, res) => {
          req.session.flash = 'new'
          res.json([await req.session.pop('flash'), await req.session.pop('flash')])
        },
      },
    })
    await browser.post('/set/flash/old')
    expect(await browser.post('/both')).toEqual(['new', null])
    expect(await browser.get('/')).toEqual({})
  })

  it('pops what SQL has no text for', async () => {
    const browser = await visit({
      handlers: {
        '/nul': async (req, res) => {
          res.json([await req.session.pop('flash'), await req.session.pop('k\0')])
        },
      },
    })
    await browser.post('/data', { flash: 'a\0b', 'k\0': 1 })
    expect(await browser.post('/nul')).toEqual(['a\0b', 1])
    expect(await browser.get('/')).toEqual({})
  })

  it('keeps every text: U+0000, half a surrogate pair made well-formed, keys of any kind', async () => {
    const browser = await visit()
    const data = { 'a\0b': 'nul \0', 'half \ud83d': 'half \ud83d, whole 😀, \\ud83d', __proto__x: { y: [null] }, '': 0 }
    await browser.post('/data', data)
    const stored = {
      'a\0b': 'nul \0',
      'half \ufffd': 'half \ufffd, whole 😀, \\ud83d',
      __proto__x: { y: [null] },
      '': 0,
    }
    expect(await browser.get('/')).toEqual(stored)
    expect(await pool.calls(() => browser.post('/data', data))).toEqual(['session_fetch'])
    await browser.post(`/unset/${encodeURIComponent('a\0b')}`)
    expect(await browser.get('/')).not.toHaveProperty('a\0b')
  })

  it('leaves alone keys that a session object cannot hold', async () => {
    const browser = await visit()
    await browser.post('/set/a/1')
    await ask('SELECT session_merge($1, $2)', [browser.sid, { id: 7, save: true }])
    await browser.post('/set/a/2')
    expect(await ask('SELECT session_get($1)', [browser.sid])).toMatchObject({ a: '2', id: 7, save: true })
    await ask('SELECT session_release($1, $2)', [browser.sid, { id: 8 }])
    await browser.post('/set/a/3')
    expect(await ask('SELECT session_get($1)', [browser.sid])).toEqual({ a: '3', id: 8 })
  })

  it('leaves the request its session where a renewal fails', async () => {
    const browser = await visit()
    await browser.post('/login/ada')
    pool.before = (text) => {
      if (text.includes('session_regenerate')) throw new Error('no database')
    }
    await expect(browser.post('/renew')).rejects.toThrow('500')
    expect(browser.received).toEqual([])
    expect(await browser.get('/')).toEqual({ user: 'ada' })
    expect(await sessions()).toBe('1')
  })

  it('outlives a break of all connections, with a pool of its own', async () => {
    const store = new SessionStore({ connectionString: process.env.DATABASE_URL, application_name: 'breaking' })
    closeAfterTest(() => store.close())
    const browser = await visit({ store })
    await browser.post('/set/a/1')
    await ask('SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1', ['breaking'])
    await wait(200)
    expect(await browser.get('/')).toEqual({ a: '1' })
  })

  it('opens a session that something else has made', async () => {
    const browser = await visit()
    await browser.post('/set/a/1')
    await ask('SELECT session_release($1, $2)', [browser.sid, { b: 2 }])
    expect(await pool.calls(() => browser.get('/'))).toEqual(['session_fetch'])
    expect(await browser.get('/')).toEqual({ b: 2 })
    await ask('SELECT session_release_raw($1, $2)', [browser.sid, Buffer.from('gob')])
    expect(await browser.get('/')).toEqual({})
  })

  it('does not ask the database about ids that no session can have', async () => {
    const store = new SessionStore({ pool })
    const get = (sid: string) =>
      new Promise((resolve, reject) => store.get(sid, (error, data) => (error ? reject(error) : resolve(data))))
    expect(
      await pool.calls(async () => {
        for (const sid of ['', 'nul\0', 'ü', 'x'.repeat(257)]) expect(await get(sid)).toBeNull()
      }),
    ).toEqual([])
  })

  it('does not take a server that is down for a logout', async () => {
    const browser = await visit()
    await browser.post('/set/a/1')
    pool.before = connectWithoutServer
    await expect(browser.get('/')).rejects.toThrow('500')
  })

  it('gives a request an error when the database does, and does not say that something was saved', async () => {
    const browser = await visit()
    await browser.post('/set/a/1')
    pool.before = (text) => {
      if (text.includes('session_patch')) throw new Error('no database')
    }
    await expect(browser.post('/set/a/2')).rejects.toThrow('500')
    pool.before = () => {}
    expect(await browser.get('/')).toEqual({ a: '1' })
  })
})

describe('how long', () => {
  const maxAge = (milliseconds: number): RequestHandler => {
    return (req, res) => {
      req.session.cookie.maxAge = milliseconds
      res.json({})
    }
  }

  it('a session lives: as its cookie, as ttl, or as the setting', async () => {
    const day = await visit({ cookie: { maxAge: 86_400_000 } })
    const ttl = await visit({ storeOptions: { ttl: 7200 } })
    const setting = await visit()
    for (const browser of [day, ttl, setting]) await browser.post('/set/a/1')
    const hours = async (browser: Browser) => (await remaining(browser.sid)) / 3600
    expect(await hours(day)).toBeCloseTo(24, 1)
    expect(await hours(ttl)).toBeCloseTo(2, 1)
    expect(await hours(setting)).toBeCloseTo(1, 1)
  })

  it('remember-me lasts, once the cookie says so', async () => {
    const handlers = { '/remember': maxAge(30 * 86_400_000) }
    const browser = await visit({ cookie: { maxAge: 3_600_000 }, handlers })
    await browser.post('/set/a/1')
    expect(await pool.calls(() => browser.post('/remember'))).toEqual(['session_fetch', 'session_patch'])
    expect((await remaining(browser.sid)) / 86_400).toBeCloseTo(30, 1)
    expect(await pool.calls(() => browser.post('/remember'))).toEqual(['session_fetch'])
    await browser.post('/login/ada')
    expect((await remaining(browser.sid)) / 86_400).toBeCloseTo(30, 1)
  })

  it('an expiry date moves the session when it moves by more than a minute', async () => {
    let end = Date.now() + 3_600_000
    const browser = await visit({
      handlers: {
        '/until': (req, res) => {
          req.session.cookie.expires = new Date(end)
          res.json({})
        },
      },
    })
    await browser.post('/set/a/1')
    expect(await pool.calls(() => browser.post('/until'))).toEqual(['session_fetch', 'session_patch'])
    end += 30_000
    expect(await pool.calls(() => browser.post('/until'))).toEqual(['session_fetch'])
    end += 60_000
    expect(await pool.calls(() => browser.post('/until'))).toEqual(['session_fetch', 'session_patch'])
  })

  it('a cookie that is over ends the session, and is never a session without end', async () => {
    for (const over of [0, -1000]) {
      const browser = await visit({ handlers: { '/over': maxAge(over) } })
      await browser.post('/set/a/1')
      const { sid } = browser
      await browser.post('/over')
      expect(await ask('SELECT session_exist($1)', [sid])).toBe(false)
    }
  })

  it('each use keeps the session alive, from the cookie of which the browser knows the end', async () => {
    const browser = await visit({ cookie: { maxAge: 3000 }, rolling: true })
    await browser.post('/set/a/1')
    for (let i = 0; i < 3; i++) {
      await wait(1400)
      expect(await browser.get('/')).toEqual({ a: '1' })
    }
    const { cookies } = browser.copy()
    await wait(3400)
    browser.cookies = cookies
    expect(await browser.get('/')).toEqual({})
  })
})

describe('the store by itself', () => {
  const store = new SessionStore({ pool })
  // biome-ignore lint/suspicious/noExplicitAny: plain objects, as tests of other stores use them
  const call = (method: 'get' | 'set' | 'touch' | 'destroy' | 'length' | 'clear', ...args: any[]) =>
    new Promise<unknown>((resolve, reject) => {
      // biome-ignore lint/suspicious/noExplicitAny: one of several signatures
      ;(store[method] as any)(...args, (error: unknown, result: unknown) => (error ? reject(error) : resolve(result)))
    })

  it('sets, gets, replaces, touches, counts and destroys plain objects', async () => {
    const cookie = { originalMaxAge: 60_000, httpOnly: true, path: '/' }
    await call('set', 'plain', { cookie, a: 1, b: 2 })
    await call('set', 'plain', { cookie, a: 3 })
    expect(await call('get', 'plain')).toMatchObject({ a: 3, cookie: { ...cookie, expires: expect.any(String) } })
    expect(await call('get', 'plain')).not.toHaveProperty('b')
    await call('touch', 'plain', { cookie: { ...cookie, originalMaxAge: 7_200_000 } })
    expect((await remaining('plain')) / 3600).toBeCloseTo(2, 1)
    expect(await call('length')).toBeGreaterThan(0)
    await call('destroy', 'plain')
    expect(await call('get', 'plain')).toBeNull()
    await call('clear')
    expect(await call('length')).toBe(0)
  })

  it('does not bring back what it has loaded before it was destroyed', async () => {
    await call('set', 'plain', { cookie: {}, a: 1 })
    const loaded = await call('get', 'plain')
    await call('destroy', 'plain')
    await call('set', 'plain', Object.assign(loaded as object, { a: 2 }))
    expect(await call('get', 'plain')).toBeNull()
  })

  it('does not offer a list: ids are not stored', () => {
    expect(store.all).toBeUndefined()
  })

  it('stores no id that works as one', async () => {
    await call('set', 'plain', { cookie: {}, a: 1 })
    expect(await call('get', (await sha256('plain')).toString('hex'))).toBeNull()
  })
})
