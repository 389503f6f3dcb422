import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import axe from 'axe-core'
import { IPHONE, logIn, openBrowsers, openShop, PASSWORD, press } from './support.js'

const shop = openShop()
const browsers = openBrowsers(shop)

const pathOf = (page) => new URL(page.url()).pathname
const listOf = (page) => page.getByRole('region', { name: 'Devices' }).getByRole('heading').allTextContents()
const cartOf = (page) => page.getByRole('region', { name: 'Your cart' }).getByRole('rowheader').allTextContents()
const messageOf = (page) => page.getByRole('status').textContent()

/** A laptop and a phone, both of ada; the laptop looks at the list. */
async function laptopAndPhone() {
  const laptop = await browsers.open()
  const phone = await browsers.open(IPHONE)
  await logIn(laptop)
  await logIn(phone)
  await laptop.goto('/devices')
  return { laptop, phone }
}

async function isLoggedIn(page) {
  await page.goto('/devices')
  return pathOf(page) === '/devices'
}

async function changePassword(page, current, next) {
  await page.getByLabel('Current password').fill(current)
  await page.getByLabel('New password').fill(next)
  await press(page, 'Change it')
}

describe('the shop in a browser', () => {
  afterEach(() => assert.deepEqual(browsers.errors, []))

  it('keeps at the login what was put into the cart before', async () => {
    const page = await browsers.open()
    await page.goto('/')
    await press(page, 'Add Umbrella to the cart')
    await press(page, 'Add Teapot to the cart')
    await press(page, 'Add Teapot to the cart')
    const cart = ['Umbrella × 1', 'Teapot × 2', 'Total']
    assert.deepEqual(await cartOf(page), cart)
    const [before] = await page.context().cookies()

    await logIn(page)
    assert.deepEqual(await cartOf(page), cart)
    const [now] = await page.context().cookies()
    assert.notEqual(now.value, before.value)

    await press(page, 'Remove Umbrella')
    assert.deepEqual(await cartOf(page), ['Teapot × 2', 'Total'])
  })

  it('leaves nothing in the cart for another account', async () => {
    const page = await browsers.open()
    await logIn(page)
    await press(page, 'Add Umbrella to the cart')
    await logIn(page, { name: 'grace' })
    assert.deepEqual(await cartOf(page), [])
  })

  it('hides the cookie from scripts and from the forms of other sites', async () => {
    const page = await browsers.open()
    await logIn(page)
    const [{ httpOnly, sameSite, expires }] = await page.context().cookies()
    assert.deepEqual({ httpOnly, sameSite, expires }, { httpOnly: true, sameSite: 'Lax', expires: -1 })
  })

  it('remembers the login for thirty days, if asked to', async () => {
    const page = await browsers.open()
    await logIn(page, { remember: true })
    const [{ expires }] = await page.context().cookies()
    assert.ok(Math.abs(expires - Date.now() / 1000 - 30 * 24 * 3600) < 3600)
  })

  it('lists the devices with their browsers, this one first', async () => {
    const { laptop, phone } = await laptopAndPhone()
    assert.deepEqual(await listOf(laptop), ['Chrome on Linux This device', 'Safari on iPhone'])
    await phone.goto('/devices')
    assert.deepEqual(await listOf(phone), ['Safari on iPhone This device', 'Chrome on Linux'])
    assert.match(await phone.getByText('Last seen').first().textContent(), /Last seen (just now|1 minute ago)/)
  })

  it('ends another device', async () => {
    const { laptop, phone } = await laptopAndPhone()
    await press(laptop, 'End Safari on iPhone')
    assert.equal(await messageOf(laptop), 'The device is logged out.')
    assert.deepEqual(await listOf(laptop), ['Chrome on Linux This device'])
    assert.equal(await isLoggedIn(phone), false)
  })

  it('says so when another tab was faster', async () => {
    const { laptop } = await laptopAndPhone()
    const tab = await laptop.context().newPage()
    await tab.goto('/devices')
    await press(tab, 'End Safari on iPhone')
    await press(laptop, 'End Safari on iPhone')
    assert.equal(await messageOf(laptop), 'That device was logged out already.')
  })

  it('shows a message once', async () => {
    const { laptop } = await laptopAndPhone()
    await press(laptop, 'Log out the others')
    assert.equal(await messageOf(laptop), 'Logged out elsewhere: 1 device.')
    await laptop.reload()
    assert.equal(await laptop.getByRole('status').count(), 0)
  })

  it('logs out the others, and nobody else', async () => {
    const { laptop, phone } = await laptopAndPhone()
    const stranger = await browsers.open()
    await logIn(stranger, { name: 'grace' })
    await press(laptop, 'Log out the others')
    assert.equal(await isLoggedIn(phone), false)
    assert.equal(await isLoggedIn(laptop), true)
    assert.equal(await isLoggedIn(stranger), true)
  })

  it('logs out the others with a change of the password', async () => {
    const { laptop, phone } = await laptopAndPhone()
    await changePassword(laptop, PASSWORD, 'raincoat')
    assert.equal(await messageOf(laptop), 'The password is changed, and all other devices are logged out.')
    assert.deepEqual(await listOf(laptop), ['Chrome on Linux This device'])
    assert.equal(await isLoggedIn(phone), false)
    await logIn(phone, { password: 'raincoat' })
    assert.equal(await isLoggedIn(phone), true)
  })

  it('logs out everywhere', async () => {
    const { laptop, phone } = await laptopAndPhone()
    await press(laptop, 'Log out everywhere')
    assert.equal(pathOf(laptop), '/login')
    assert.equal(await isLoggedIn(laptop), false)
    assert.equal(await isLoggedIn(phone), false)
  })

  it('logs out this device alone', async () => {
    const { laptop, phone } = await laptopAndPhone()
    await press(laptop, 'Log out ada')
    assert.equal(await isLoggedIn(laptop), false)
    assert.equal(await isLoggedIn(phone), true)
  })

  it('fits on a phone', async () => {
    const phone = await browsers.open(IPHONE)
    await logIn(phone)
    await press(phone, 'Add Umbrella to the cart')
    for (const path of ['/', '/login', '/devices']) {
      await phone.goto(path)
      const [content, screen] = await phone.evaluate('[document.documentElement.scrollWidth, innerWidth]')
      assert.ok(content <= screen, `${path} is ${content} pixels wide`)
    }
  })
})

describe('every page', () => {
  for (const colorScheme of ['light', 'dark']) {
    it(`can be used by everybody, as far as axe can tell, when it is ${colorScheme}`, async () => {
      const page = await browsers.open({ colorScheme })
      const check = async () => {
        await page.evaluate(axe.source)
        const { violations } = await page.evaluate('axe.run()')
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`)
        assert.deepEqual(found, [], page.url())
      }
      await page.goto('/nothing')
      await check()
      await logIn(page, { password: 'raincoat' })
      await check()
      await logIn(page)
      await press(page, 'Add Umbrella to the cart')
      await check()
      await page.goto('/devices')
      await changePassword(page, PASSWORD, 'raincoat')
      await check()
    })
  }
})

describe('a wrong password', () => {
  it('does not log in, and the name stays in the form', async () => {
    const page = await browsers.open()
    await logIn(page, { password: 'raincoat' })
    assert.equal(await page.getByRole('alert').textContent(), 'That name and password do not go together.')
    assert.equal(await page.getByLabel('Name').inputValue(), 'ada')
    assert.equal(await isLoggedIn(page), false)
  })

  it('changes nothing', async () => {
    const { laptop, phone } = await laptopAndPhone()
    await changePassword(laptop, 'raincoat', 'sou’wester')
    assert.equal(await laptop.getByRole('alert').textContent(), 'That is not the current password.')
    assert.equal(await isLoggedIn(phone), true)
  })
})
