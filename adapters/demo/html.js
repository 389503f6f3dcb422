class Html {
  constructor(text) {
    this.text = text
  }

  toString() {
    return this.text
  }
}

/** A template for HTML: what is put into it is escaped, unless it comes from such a template itself. */
export function html(strings, ...values) {
  return new Html(String.raw({ raw: strings }, ...values.map(textOf)))
}

function textOf(value) {
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(textOf).join('')
  if (value === undefined || value === null || value === false) return ''
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
