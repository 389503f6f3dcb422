// The picture of the documentation, docs/images/devices.png; or, with a directory, every page as the tests' devices see it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { before, it } from 'node:test'
import { devices } from 'playwright-core'
import { IPHONE, logIn, openBrowsers, openShop, owner, press } from './support.js'

const DOCS = new URL('../../../docs/images/', import.meta.url).pathname
const directory = process.env.SCREENSHOTS

const shop = openShop()
const browsers = openBrowsers(shop)
const LAPTOP = { userAgent: devices['Desktop Firefox'].userAgent, viewport: { width: 1280, height: 720 } }

before(() => mkdir(directory ?? DOCS, { recursive: true }))

/** As if the device had logged in and been seen so long ago. */
async function age(name, login, seen) {
  const { rowCount } = await owner.query(
    `UPDATE session SET created_at = created_at - $2::interval, authenticated_at = authenticated_at - $2::interval,
       session_expiry = session_expiry - $3::interval WHERE attributes ->> 'name' = $1`,
    [name, login, seen],
  )
  if (rowCount !== 1) throw new Error(`${rowCount} sessions of ${name}`)
}

async function logInFromThree() {
  const phone = await browsers.open(IPHONE)
  await logIn(phone, { remember: true })
  const old = await browsers.open({ userAgent: devices['Desktop Edge'].userAgent })
  await logIn(old, { remember: true })
  const laptop = await browsers.open(LAPTOP)
  await logIn(laptop)
  await age('Safari on iPhone', '6.1 days', '26 minutes')
  await age('Edge on Windows', '12.1 days', '73 hours')
  await age('Firefox on Windows', '41 minutes', '0')
  return { laptop, phone }
}

it('takes the picture of the documentation', { skip: Boolean(directory) }, async () => {
  const { laptop } = await logInFromThree()
  await laptop.goto('/devices')
  await laptop.screenshot({ path: join(DOCS, 'devices.png'), fullPage: true })
})

it('takes pictures of all pages', { skip: !directory }, async () => {
  const { laptop, phone } = await logInFromThree()
  const stranger = await browsers.open(LAPTOP)
  await press(laptop, 'Add Umbrella to the cart')
  await press(laptop, 'Add Teapot to the cart')
  await phone.setViewportSize({ width: 390, height: 844 })
  const shots = [
    ['shop-1280', laptop, '/'],
    ['devices-1280', laptop, '/devices'],
    ['login-1280', stranger, '/login'],
    ['shop-390', phone, '/'],
    ['devices-390', phone, '/devices'],
    ['login-390', phone, '/login'],
  ]
  for (const [name, page, path] of shots) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      await page.goto(path)
      await page.screenshot({ path: join(directory, `${name}-${colorScheme}.png`), fullPage: true })
    }
  }
})
