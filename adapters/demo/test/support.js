import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { after, afterEach, before, beforeEach } from 'node:test'
import pg from 'pg'
import { chromium, devices } from 'playwright-core'
import { createApp } from '../app.js'

export const PASSWORD = 'umbrella'
export const IPHONE = devices['iPhone 15']
const SCHEMA = await readFile(new URL('../schema.sql', import.meta.url), 'utf8')

/** The rights of the owner: what a test prepares, or looks up in the table. */
export const owner = new pg.Pool({ connectionString: process.env.OWNER_URL })

/** The shop in a fresh database, for all tests of a file. */
export function openShop() {
  const shop = {}
  const pool = new pg.Pool()
  let server
  before(async () => {
    server = createApp({ pool, secret: 'of the tests' }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    shop.url = `http://127.0.0.1:${server.address().port}`
  })
  beforeEach(() => owner.query(`DROP TABLE IF EXISTS account; SELECT session_clear(); ${SCHEMA}`))
  after(async () => {
    server.close()
    server.closeAllConnections()
    await Promise.all([pool.end(), owner.end()])
  })
  return shop
}

/** Debian's Chromium with an empty profile, which tells nobody of itself. */
export function launch() {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** Opens pages of browsers that share nothing, and notes what went wrong in any of them. */
export function openBrowsers(shop) {
  let browser
  const browsers = { errors: [] }
  before(async () => {
    browser = await launch()
  })
  after(() => browser.close())
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close()
    browsers.errors = []
  })
  browsers.open = async (options) => {
    const context = await browser.newContext({ baseURL: shop.url, ...options })
    const page = await context.newPage()
    page.setDefaultTimeout(60_000)
    page.on('pageerror', (error) => browsers.errors.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error') browsers.errors.push(message.text())
    })
    return page
  }
  return browsers
}

/** Presses the button and waits for the page that comes of it. */
export async function press(page, name) {
  await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name }).click()])
}

export async function logIn(page, { name = 'ada', password = PASSWORD, remember = false } = {}) {
  await page.goto('/login')
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByLabel('Stay logged in').setChecked(remember)
  await press(page, /^Log in$/)
}
