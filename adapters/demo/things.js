/** What the shop sells; prices in cents. */
export const THINGS = [
  { id: 'umbrella', name: 'Umbrella', about: 'Wide enough for two, opens against the wind.', price: 3900 },
  { id: 'boots', name: 'Rubber boots', about: 'Knee-high, with a lining that dries overnight.', price: 5400 },
  { id: 'teapot', name: 'Teapot', about: 'Four cups. Does not drip, unlike everything else.', price: 2800 },
  { id: 'socks', name: 'Wool socks', about: 'Warm even when the boots gave up.', price: 1200 },
]
