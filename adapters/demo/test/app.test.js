import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describe as describeBrowser } from '../browser.js'
import { html } from '../html.js'
import { openShop, owner, PASSWORD } from './support.js'

const shop = openShop()

/** A client that keeps the cookie. */
class Client {
  cookie = ''

  get(path) {
    return this.#send(path, {})
  }

  post(path, fields = {}, headers = {}) {
    return this.#send(path, { method: 'POST', body: new URLSearchParams(fields), headers })
  }

  async #send(path, init) {
    const headers = { ...init.headers, cookie: this.cookie }
    const response = await fetch(shop.url + path, { ...init, headers, redirect: 'manual' })
    const [cookie] = response.headers.getSetCookie()
    if (cookie) this.cookie = cookie.split(';')[0]
    return { status: response.status, location: response.headers.get('location'), text: await response.text() }
  }
}

const ADA = { name: 'ada', password: PASSWORD }
const sessions = async () => Number((await owner.query('SELECT session_all()')).rows[0].session_all)

describe('the shop', () => {
  it('leaves no cookie and no row with those who only look around', async () => {
    const visitor = new Client()
    for (const path of ['/', '/login', '/devices', '/nothing']) await visitor.get(path)
    assert.equal(visitor.cookie, '')
    assert.equal(await sessions(), 0)
  })

  it('loses nothing that two tabs put into the cart at once', async () => {
    const visitor = new Client()
    await visitor.post('/cart', { thing: 'umbrella' })
    await Promise.all(['boots', 'teapot', 'socks'].map((thing) => visitor.post('/cart', { thing })))
    const { text } = await visitor.get('/')
    for (const name of ['Umbrella', 'Rubber boots', 'Teapot', 'Wool socks'])
      assert.match(text, new RegExp(`${name} <span`))
  })

  it('refuses the forms of other sites', async () => {
    const victim = new Client()
    await victim.post('/login', ADA)
    for (const from of ['cross-site', 'same-site']) {
      const { status } = await victim.post('/logout', {}, { 'Sec-Fetch-Site': from })
      assert.equal(status, 403)
    }
    assert.equal((await victim.get('/devices')).status, 200)
  })

  it('asks for a login before anything of an account', async () => {
    const visitor = new Client()
    for (const path of ['/devices/end', '/devices/end-others', '/devices/end-all', '/password']) {
      assert.equal((await visitor.post(path)).location, '/login', path)
    }
  })

  it('shows what was typed, and not as HTML', async () => {
    const { status, text } = await new Client().post('/login', { name: '"><script>alert(1)</script>', password: 'x' })
    assert.equal(status, 401)
    assert.ok(!text.includes('<script'))
  })

  it('takes made-up forms for empty ones', async () => {
    const client = new Client()
    for (const body of ['', 'name[]=ada', 'name=ada&name=ada', 'name=%00&password=%00']) {
      assert.equal((await client.post('/login', body)).status, 401, body)
    }
    await client.post('/login', ADA)
    await client.post('/cart', { thing: '__proto__' })
    await client.post('/cart/remove', { thing: 'nothing' })
    for (const handle of ['', '\0', 'x'.repeat(5000)]) {
      assert.equal((await client.post('/devices/end', { handle })).location, '/devices')
    }
    assert.equal((await client.post('/password', { current: PASSWORD, next: 'short' })).status, 422)
    assert.equal((await client.get('/devices')).status, 200)
  })

  it('does not end the sessions of others by their handles', async () => {
    const [laptop, phone] = [new Client(), new Client()]
    for (const client of [laptop, phone]) await client.post('/login', { ...ADA, name: 'grace' })
    const [, handle] = /name="handle" value="(.+?)"/.exec((await laptop.get('/devices')).text)
    const ada = new Client()
    await ada.post('/login', ADA)
    await ada.post('/devices/end', { handle })
    assert.equal(await sessions(), 3)
  })

  it('refuses a login with the old password that comes while the password is being changed', async () => {
    const change = await owner.connect()
    await change.query(
      "BEGIN; UPDATE account SET password = '00:00' WHERE name = 'ada'; SELECT session_revoke_all('1')",
    )
    const login = new Client().post('/login', ADA)
    await waitsForTheLock()
    await change.query('COMMIT')
    change.release()
    assert.equal((await login).status, 401)
    assert.equal(await sessions(), 0)
  })

  it('ends the sessions only if the password was changed', async () => {
    const [laptop, phone] = [new Client(), new Client()]
    for (const client of [laptop, phone]) await client.post('/login', ADA)
    const changes = await Promise.all(
      [laptop, phone].map((client) => client.post('/password', { current: PASSWORD, next: 'raincoat' })),
    )
    // Of two changes at once one counts, and the other's device is logged out or told that it was too late.
    assert.equal(changes.filter(({ location }) => location === '/devices').length, 1)
    assert.equal(await sessions(), 1)
    assert.equal((await new Client().post('/login', { ...ADA, password: 'raincoat' })).location, '/')
  })

  it('says that something is wrong when the database is, and works again afterwards', async (t) => {
    t.mock.method(console, 'error', () => {})
    const client = new Client()
    await client.post('/login', ADA)
    await owner.query('ALTER TABLE account RENAME TO gone')
    const { status, text } = await client.post('/login', ADA)
    assert.equal(status, 500)
    assert.match(text, /Something went wrong/)
    await owner.query('ALTER TABLE gone RENAME TO account')
    assert.equal((await client.get('/devices')).status, 200)
  })
})

/** Until the login waits for the transaction that changes the password. */
async function waitsForTheLock() {
  for (;;) {
    const { rowCount } = await owner.query(
      "SELECT FROM pg_stat_activity WHERE query LIKE '%session_login%' AND wait_event_type = 'Lock'",
    )
    if (rowCount > 0) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('a template', () => {
  it('escapes what is put into it, and only once', () => {
    const name = `<b title='"'>&`
    assert.equal(String(html`<p>${html`<i>${name}</i>`}</p>`), '<p><i>&#60;b title=&#39;&#34;&#39;&#62;&#38;</i></p>')
  })

  it('leaves out what there is not, and joins lists', () => {
    assert.equal(String(html`${false}${null}${undefined}${0}${['<', html`<br>`]}`), '0&#60;<br>')
  })
})

describe('the name of a browser', () => {
  const cases = [
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0',
      'Edge on Windows',
      false,
    ],
    [
      'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36',
      'Chrome on Android',
      true,
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15',
      'Safari on macOS',
      false,
    ],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0', 'Firefox on Linux', false],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0.0.0 Mobile/15E148 Safari/604.1',
      'Chrome on iPhone',
      true,
    ],
    ['curl/8.9.1', 'Unknown browser', false],
    [undefined, 'Unknown browser', false],
  ]
  for (const [userAgent, name, mobile] of cases) {
    it(`is ${name}, seen from ${userAgent}`, () => assert.deepEqual(describeBrowser(userAgent), { name, mobile }))
  }
})
