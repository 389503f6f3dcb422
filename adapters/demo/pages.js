import { html } from './html.js'
import { THINGS } from './things.js'

export function shop({ user, cart, message }) {
  return layout({
    title: 'Things for wet days',
    user,
    message,
    body: html`
      <div class="columns">
        <section aria-labelledby="things">
          <h2 id="things">In stock</h2>
          <ul class="things">${THINGS.map(thingItem)}</ul>
        </section>
        <section class="card" aria-labelledby="cart">
          <h2 id="cart">Your cart</h2>
          ${cart.length === 0 ? html`<p class="quiet">Still dry in here.</p>` : cartTable(cart)}
          ${!user && cart.length > 0 && html`<p class="quiet"><a href="/login">Log in</a>, and it comes along.</p>`}
        </section>
      </div>`,
  })
}

function thingItem({ id, name, about, price }) {
  return html`
    <li>
      <div><h3>${name}</h3><p>${about}</p></div>
      <p class="price">${money(price)}</p>
      <form method="post" action="/cart">
        <button name="thing" value="${id}" aria-label="Add ${name} to the cart">Add</button>
      </form>
    </li>`
}

function cartTable(cart) {
  const total = cart.reduce((sum, { price, quantity }) => sum + price * quantity, 0)
  return html`
    <form method="post" action="/cart/remove">
      <table>
        <thead class="unseen"><tr><th>Thing</th><th>Price</th><th>Change</th></tr></thead>
        <tbody>${cart.map(
          ({ id, name, price, quantity }) => html`
          <tr>
            <th scope="row">${name} <span class="quiet">× ${quantity}</span></th>
            <td>${money(price * quantity)}</td>
            <td><button class="plain" name="thing" value="${id}" aria-label="Remove ${name}">Remove</button></td>
          </tr>`,
        )}</tbody>
        <tfoot><tr><th scope="row">Total</th><td>${money(total)}</td><td></td></tr></tfoot>
      </table>
    </form>`
}

export function login({ user, name, error }) {
  return layout({
    title: 'Log in',
    user,
    error,
    body: html`
      <div class="narrow">
        <form class="card" method="post" action="/login">
          <label>Name <input name="name" value="${name}" autocomplete="username" autocapitalize="none" required autofocus></label>
          <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
          <label class="check"><input name="remember" type="checkbox" value="yes"> Stay logged in for 30 days</label>
          <button class="main">Log in</button>
        </form>
        <p class="quiet">This shop is made up. Log in as <b>ada</b> or <b>grace</b> with the password <b>umbrella</b>.</p>
      </div>`,
  })
}

export function devices({ user, devices, message, error }) {
  return layout({
    title: 'Your devices',
    user,
    message,
    error,
    body: html`
      <p class="lead">Where ${user.name} is logged in. If you do not know one of these, end it and change your password.</p>
      <div class="columns">
        <section aria-label="Devices">
          <ul class="devices">${devices.map(deviceItem)}</ul>
          ${devices.length > 1 && html`<form method="post" action="/devices/end-others"><button>Log out the others</button></form>`}
        </section>
        <div>
          <form class="card" method="post" action="/password" aria-labelledby="password">
            <h2 id="password">Change the password</h2>
            <input name="name" value="${user.name}" autocomplete="username" hidden readonly>
            <label>Current password <input name="current" type="password" autocomplete="current-password" required></label>
            <label>New password <input name="next" type="password" autocomplete="new-password" minlength="8" required></label>
            <button class="main">Change it</button>
            <p class="quiet">All other devices are logged out.</p>
          </form>
          <form class="card" method="post" action="/devices/end-all" aria-labelledby="everywhere">
            <h2 id="everywhere">Leave altogether</h2>
            <button>Log out everywhere</button>
            <p class="quiet">On this device, too.</p>
          </form>
        </div>
      </div>`,
  })
}

function deviceItem({ handle, isThis, attributes, authenticatedAt, lastSeen }) {
  const { name, mobile } = attributes
  return html`
    <li>
      ${mobile ? PHONE : LAPTOP}
      <div>
        <h2>${name}${isThis && html` <span class="badge">This device</span>`}</h2>
        <p class="quiet">Last seen ${ago(lastSeen)}<span class="dot"> · </span><span>logged in ${ago(authenticatedAt)}</span></p>
      </div>
      ${
        isThis
          ? html`<form method="post" action="/logout"><button>Log out</button></form>`
          : html`
            <form method="post" action="/devices/end">
              <button name="handle" value="${handle}" aria-label="End ${name}, logged in ${words(authenticatedAt)}">End</button>
            </form>`
      }
    </li>`
}

export function problem(text) {
  return layout({ title: 'Oh dear', body: html`<p class="lead">${text}</p><p><a href="/">Back to the shop</a></p>` })
}

function layout({ title, user, message, error, body }) {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} – Drizzle</title>
    <link rel="icon" href="/icon.svg">
    <link rel="stylesheet" href="/style.css">
  </head>
  <body>
    <header>
      <a class="name" href="/">Drizzle</a>
      <nav aria-label="Main">
        <a href="/">Shop</a>
        ${
          user
            ? html`<a href="/devices">Devices</a><form method="post" action="/logout"><button class="plain">Log out ${user.name}</button></form>`
            : html`<a href="/login">Log in</a>`
        }
      </nav>
    </header>
    <main>
      ${message && html`<p class="note" role="status">${message}</p>`}
      ${error && html`<p class="note error" role="alert">${error}</p>`}
      <h1>${title}</h1>
      ${body}
    </main>
  </body>
</html>`
}

function money(cents) {
  return `€ ${(cents / 100).toFixed(2)}`
}

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

function ago(date) {
  return date ? html`<time datetime="${date.toISOString()}">${words(date)}</time>` : 'at an unknown time'
}

function words(date) {
  const seconds = (Date.now() - date) / 1000
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? []
  return unit ? RELATIVE.format(-Math.floor(seconds / length), unit) : 'just now'
}

const LAPTOP = html`<svg viewBox="0 0 24 24" aria-hidden="true"><rect x="4" y="5" width="16" height="10.5" rx="1.5"/><path d="M2 19h20"/></svg>`
const PHONE = html`<svg viewBox="0 0 24 24" aria-hidden="true"><rect x="7" y="2.5" width="10" height="19" rx="2"/><path d="M11 18.5h2"/></svg>`
