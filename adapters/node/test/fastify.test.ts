import cookie from '@fastify/cookie'
import session, { type FastifySessionOptions } from '@fastify/session'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import { principals, SessionStore, type StoreOptions } from '../src/fastify'
import { addressOf, ask, Browser, closeAfterTest, connectWithoutServer, pool, remaining, wait } from './support'

declare module 'fastify' {
  interface Session {
    [key: string]: unknown
  }
}

type Options = Partial<FastifySessionOptions> & {
  storeOptions?: StoreOptions
  handlers?: Record<string, (request: FastifyRequest) => Promise<unknown>>
}

const SECRET = 'a secret that is long enough for @fastify/session'

type Params = { Params: Record<'key' | 'value' | 'user' | 'handle', string>; Querystring: { wait?: string } }

/** An application as its users would write it, and a browser for it. */
async function visit({ storeOptions, handlers = {}, ...options }: Options = {}): Promise<Browser> {
  const app = Fastify()
  app.register(cookie)
  app.register(principals)
  app.register(session, {
    store: new SessionStore({ pool, ...storeOptions }),
    secret: SECRET,
    saveUninitialized: false,
    rolling: false,
    ...options,
    cookie: { secure: false, ...options.cookie },
  })
  app.register(async (routes) => addRoutes(routes, handlers))
  await app.listen({ port: 0, host: '127.0.0.1' })
  closeAfterTest(() => app.close())
  return new Browser(await addressOf(app.server))
}

function addRoutes(app: FastifyInstance, handlers: NonNullable<Options['handlers']>) {
  app.get('/', async ({ session }) => {
    const { cookie, ...data } = session
    return data
  })
  app.post<Params>('/set/:key/:value', async ({ session, params, query }) => {
    await wait(Number(query.wait ?? 0))
    session[params.key] = params.value
    return {}
  })
  app.post('/data', async ({ session, body }) => {
    Object.assign(session, body)
    return {}
  })
  app.post<Params>('/unset/:key', async ({ session, params }) => {
    delete session[params.key]
    return {}
  })
  app.post<Params>('/login/:user', async (request) => {
    const { user } = request.params
    await request.session.login(user, { browser: request.headers['user-agent'] }, { user })
    return {}
  })
  app.post<Params>('/renew', async ({ session, query }) => {
    const { cookie, ...data } = session
    await wait(Number(query.wait ?? 0))
    await session.regenerate(Object.keys(data))
    return {}
  })
  app.post('/regenerate', (request, reply) => {
    request.session.regenerate((error) => reply.send(error ?? {}))
  })
  app.post('/logout', async ({ session }) => {
    await session.destroy()
    return {}
  })
  app.get<Params>('/pop/:key', async ({ session, params, query }) => {
    await wait(Number(query.wait ?? 0))
    return { value: (await session.pop(params.key)) ?? null }
  })
  app.get('/devices', async ({ session }) => session.devices())
  app.post<Params>('/revoke/:handle', async ({ session, params }) => session.revoke(params.handle))
  app.post('/revoke_others', async ({ session }) => session.revokeOthers())
  for (const [path, handler] of Object.entries(handlers)) app.post(path, handler)
}

const sessions = () => ask<string>('SELECT session_all()')

describe('fastify', () => {
  it('leaves neither a row nor a cookie of a visit that puts nothing into the session', async () => {
    const browser = await visit()
    expect(await pool.calls(() => browser.get('/'))).toEqual([])
    expect(browser.received).toEqual([])
    expect(await sessions()).toBe('0')
  })

  it('loads in one trip, saves in one, and sends nothing else', async () => {
    for (const rolling of [false, true]) {
      const browser = await visit({ rolling, cookie: { maxAge: 3_600_000 } })
      expect(await pool.calls(() => browser.post('/set/a/1'))).toEqual(['session_save'])
      expect(await pool.calls(() => browser.get('/'))).toEqual(['session_fetch'])
      expect(await pool.calls(() => browser.post('/set/a/1'))).toEqual(['session_fetch'])
      expect(await pool.calls(() => browser.post('/set/a/2'))).toEqual(['session_fetch', 'session_patch'])
      expect(await pool.calls(() => browser.post('/unset/a'))).toEqual(['session_fetch', 'session_patch'])
      expect(await browser.get('/')).toEqual({})
    }
  })

  it('knows the request also after its body was read', async () => {
    const browser = await visit()
    await browser.post('/data', { a: 1 })
    expect(await pool.calls(() => browser.post('/data', { b: 2 }))).toEqual(['session_fetch', 'session_patch'])
    expect(await browser.get('/')).toEqual({ a: 1, b: 2 })
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
    const browser = await visit({ cookie: { maxAge: 3_600_000 } })
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

  it('gives the cookie of a login that puts nothing into the session', async () => {
    const browser = await visit({
      handlers: {
        '/login': async ({ session }) => {
          await session.login('ada')
          return {}
        },
      },
    })
    await browser.post('/login')
    expect(await browser.get('/devices')).toHaveLength(1)
  })

  it('neither loses nor resurrects a login when requests with the old cookie are under way', async () => {
    const browser = await visit({ cookie: { maxAge: 3_600_000 } })
    await browser.post('/set/cart/umbrella')
    const tab = browser.copy()
    const slow = tab.post('/set/a/1?wait=600')
    await wait(300)
    await browser.post('/login/ada')
    await slow
    expect(tab.received).toEqual([])
    expect(await tab.get('/')).toEqual({})
    expect(tab.received).toEqual([])
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
        '/slow': async ({ session }) => {
          session.a = 1
          await session.save()
          await wait(400)
          return {}
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

  it('leaves the cookie of an unknown id alone where a message is looked for', async () => {
    const browser = await visit()
    await browser.post('/set/cart/umbrella')
    const tab = browser.copy()
    await browser.post('/login/ada')
    expect(await tab.get('/pop/flash')).toEqual({ value: null })
    expect(tab.received).toEqual([])
  })

  it('leaves the request its session where a login fails', async () => {
    const browser = await visit({
      handlers: {
        '/failing': async (request) => {
          await request.session.login('').catch(() => {})
          return { id: request.session.sessionId }
        },
      },
    })
    await browser.post('/set/cart/umbrella')
    expect(await browser.post('/failing')).toEqual({ id: browser.sid })
    expect(await browser.get('/')).toEqual({ cart: 'umbrella' })
    expect(await sessions()).toBe('1')
  })

  it('keeps whom a session belongs to when the framework renews it: logging out everywhere ends it', async () => {
    const browser = await visit()
    await browser.post('/login/ada')
    const phone = browser.copy()
    phone.cookies.clear()
    await phone.post('/login/ada')
    const { sid } = browser
    expect(await pool.calls(() => browser.post('/renew'))).toEqual(['session_fetch', 'session_regenerate'])
    expect(browser.sid).not.toBe(sid)
    expect(await browser.get('/')).toEqual({ user: 'ada' })
    expect(await browser.get('/devices')).toHaveLength(2)
    expect(await phone.post('/revoke_others')).toHaveLength(1)
    expect(await browser.get('/')).toEqual({})
    expect(await phone.get('/')).toEqual({ user: 'ada' })
  })

  it('leaves nothing of a renewed session into which nothing was put', async () => {
    const browser = await visit()
    expect(await pool.calls(() => browser.post('/regenerate'))).toEqual([])
    await browser.post('/login/ada')
    await browser.post('/regenerate')
    await wait(100)
    expect(await sessions()).toBe('0')
    expect(await browser.get('/')).toEqual({})
  })

  it('saves what is put into a session after its renewal', async () => {
    const browser = await visit({
      handlers: {
        '/afterwards': async (request) => {
          await request.session.regenerate()
          request.session.a = 1
          return {}
        },
      },
    })
    await browser.post('/login/ada')
    await browser.post('/afterwards')
    expect(await browser.get('/')).toEqual({ a: 1 })
    expect(await browser.get('/devices')).toHaveLength(1)
  })

  it('lists the devices, ends one, and ends all others', async () => {
    const browser = await visit()
    const [phone, tablet] = [browser.copy(), browser.copy()]
    for (const device of [browser, phone, tablet]) await device.post('/login/ada')
    const devices = (await browser.get('/devices')) as Record<string, unknown>[]
    expect(devices.map(({ isThis }) => isThis)).toEqual([true, false, false])
    const [{ handle } = {}] = (await phone.get('/devices')) as Record<string, unknown>[]
    expect(await browser.post(`/revoke/${handle}`)).toBe(true)
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

  it('keeps every text: U+0000, half a surrogate pair made well-formed', async () => {
    const browser = await visit()
    await browser.post('/data', { nul: 'a\0b', half: '\udc00 \\udc00' })
    expect(await browser.get('/')).toEqual({ nul: 'a\0b', half: '\ufffd \\udc00' })
  })

  async function decrypted(browser: Browser, server: FastifyInstance | undefined): Promise<FastifyRequest> {
    const socket = {} as FastifyRequest
    const signed = decodeURIComponent(browser.cookies.get('sessionId') ?? '')
    await new Promise((resolve) => server?.decryptSession(signed, socket, resolve))
    return socket
  }

  it('saves sessions of `decryptSession`, and does not bring one back that has ended', async () => {
    let server: FastifyInstance | undefined
    let store: SessionStore | undefined
    const browser = await visit({
      handlers: {
        '/server': async (request) => {
          server = request.server
          store = request.sessionStore as unknown as SessionStore
          return {}
        },
      },
    })
    await browser.post('/data', { a: 1 })
    await browser.post('/server')
    const socket = await decrypted(browser, server)
    socket.session.b = 2
    await socket.session.save()
    expect(await browser.get('/')).toEqual({ a: 1, b: 2 })
    await browser.post('/logout')
    await socket.session.save()
    expect(await sessions()).toBe('0')

    // Nor when so many others were loaded that this one is not remembered.
    await browser.post('/data', { a: 1 })
    const forgotten = await decrypted(browser, server)
    await ask("SELECT count(session_create('{}', 'other' || n)) FROM generate_series(1, 10000) AS n")
    const load = (n: number) => new Promise((resolve) => store?.get(`other${n + 1}`, resolve))
    await Promise.all(Array.from({ length: 10_000 }, (_, n) => load(n)))
    forgotten.session.b = 2
    await forgotten.session.save()
    expect(await browser.get('/')).toEqual({ a: 1, b: 2 })
    await browser.post('/logout')
    await expect(forgotten.session.save()).rejects.toThrow('too many were loaded to tell')
    expect(await sessions()).toBe('10000')
  })

  it('does not take a server that is down for a logout', async () => {
    const browser = await visit()
    await browser.post('/set/a/1')
    pool.before = connectWithoutServer
    await expect(browser.get('/')).rejects.toThrow('500')
  })

  it('reloads what others have saved, and saves when asked to', async () => {
    const browser = await visit({
      handlers: {
        '/reload': async (request) => {
          await ask('SELECT session_set($1, $2, $3)', [request.session.sessionId, 'b', 2])
          await request.session.reload()
          request.session.c = 3
          await request.session.save()
          return ask('SELECT session_get($1)', [request.session.sessionId])
        },
      },
    })
    await browser.post('/data', { a: 1 })
    expect(await browser.post('/reload')).toMatchObject({ a: 1, b: 2, c: 3 })
  })
})

describe('how long', () => {
  it('a session lives: as its cookie, as ttl, or as the setting', async () => {
    const day = await visit({ cookie: { maxAge: 86_400_000 } })
    const date = await visit({ cookie: { expires: new Date(Date.now() + 86_400_000) } })
    const ttl = await visit({ storeOptions: { ttl: 7200 } })
    const setting = await visit()
    for (const browser of [day, date, ttl, setting]) await browser.post('/set/a/1')
    const hours = async (browser: Browser) => (await remaining(browser.sid)) / 3600
    expect(await hours(day)).toBeCloseTo(24, 1)
    expect(await hours(date)).toBeCloseTo(24, 1)
    expect(await hours(ttl)).toBeCloseTo(2, 1)
    expect(await hours(setting)).toBeCloseTo(1, 1)
  })

  it('reading alone does not prolong it, without rolling', async () => {
    const browser = await visit({ cookie: { maxAge: 1500 } })
    await browser.post('/set/a/1')
    const cookies = new Map(browser.cookies)
    await wait(800)
    expect(await browser.get('/')).toEqual({ a: '1' })
    await wait(1400)
    browser.cookies = cookies
    expect(await browser.get('/')).toEqual({})
  })

  it('with rolling each use prolongs it, with or without an end in the cookie', async () => {
    for (const options of [{ cookie: { maxAge: 3000 } }, { storeOptions: { ttl: 3 } }]) {
      const browser = await visit({ rolling: true, ...options })
      await browser.post('/set/a/1')
      for (let i = 0; i < 3; i++) {
        await wait(1400)
        expect(await browser.get('/')).toEqual({ a: '1' })
      }
    }
  })

  it('an end that has moved by less than a step is not written', async () => {
    const browser = await visit({ rolling: true, cookie: { maxAge: 32_000 } })
    await browser.post('/set/a/1')
    expect(await pool.calls(() => browser.get('/'))).toEqual(['session_fetch'])
    expect(browser.received).toHaveLength(1)
    await wait(2100)
    expect(await pool.calls(() => browser.get('/'))).toEqual(['session_fetch', 'session_patch'])
  })

  it('remember-me lasts, once the cookie says so', async () => {
    const handlers: Options['handlers'] = {
      '/remember': async ({ session }) => {
        session.cookie.maxAge = 30 * 86_400_000
        return {}
      },
    }
    const browser = await visit({ cookie: { maxAge: 3_600_000 }, handlers })
    await browser.post('/login/ada')
    expect(await pool.calls(() => browser.post('/remember'))).toEqual(['session_fetch', 'session_patch'])
    expect((await remaining(browser.sid)) / 86_400).toBeCloseTo(30, 1)
    expect(await pool.calls(() => browser.post('/remember'))).toEqual(['session_fetch'])
  })

  it('a session whose cookie is past is absent', async () => {
    const browser = await visit()
    await browser.post('/set/a/1')
    await ask('SELECT session_merge($1, $2)', [browser.sid, { cookie: { expires: '2020-01-01T00:00:00.000Z' } }])
    expect(await browser.get('/')).toEqual({})
  })
})

describe('the plugin', () => {
  it('has to come before @fastify/session', async () => {
    const app = Fastify()
    app.register(cookie)
    app.register(session, { secret: SECRET })
    app.register(principals)
    await expect(app.ready()).rejects.toThrow('before @fastify/session')
  })
})
