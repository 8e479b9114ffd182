// Shows openapi.json with Swagger UI, which also sends requests to this server.

const root = new URL(document.body.dataset.root, location.href)
const dark = matchMedia('(prefers-color-scheme: dark)')

/** Swagger UI has colors for both schemes, and selects the dark ones by a class. */
function followScheme() {
  document.documentElement.classList.toggle('dark-mode', dark.matches)
}
followScheme()
dark.addEventListener('change', followScheme)

/** Makes what Swagger UI renders usable by keyboard and by screen readers. It has no settings for that. */
function repair(main) {
  for (const pre of main.querySelectorAll('pre:not([tabindex])')) pre.tabIndex = 0 // it scrolls
  // The link lies in a button that does the same. Its address stays in the address bar.
  for (const link of main.querySelectorAll('.opblock-summary-control a[href]')) link.removeAttribute('href')
  for (const button of main.querySelectorAll('button.close-modal:not([aria-label])')) button.setAttribute('aria-label', 'Close')
  for (const button of main.querySelectorAll('.auth-btn-wrapper [aria-label]')) button.removeAttribute('aria-label') // its text says the same
  const names = { select: 'Choice', textarea: 'Request body', input: 'Value' }
  for (const field of main.querySelectorAll('select, textarea, input')) {
    if (field.labels.length === 0 && !field.hasAttribute('aria-label')) field.setAttribute('aria-label', names[field.localName])
  }
}

/** Sends a pasted token as it is, also when it came with the word Bearer or with quotes. */
function mendToken(request) {
  const given = request.headers.Authorization
  if (given) request.headers.Authorization = 'Bearer ' + given.replace(/^\s*(bearer\s+)+/i, '').replace(/["'\s]/g, '')
  return request
}

const main = document.getElementById('reference')

async function show() {
  const response = await fetch(new URL('openapi.json', root)).catch((cause) => {
    throw new Error('the server does not answer', { cause })
  })
  if (!response.ok) throw new Error(`the server answered with status ${response.status}`)
  const spec = await response.json()
  spec.servers = [{ url: root.href.replace(/\/$/, '') }] // also if PUBLIC_URL names another, which the policy would block
  spec.info.description += ' On this page, a registration, a login or a refresh authorizes the other operations.'
  new MutationObserver(() => repair(main)).observe(main, { childList: true, subtree: true })
  const ui = SwaggerUIBundle({
    spec,
    domNode: main,
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    persistAuthorization: false, // a token stays in this tab
    validatorUrl: null,
    requestSnippetsEnabled: false,
    requestInterceptor: mendToken,
    responseInterceptor(response) {
      if (response.ok && response.obj?.token) ui.preauthorizeApiKey('accessToken', response.obj.token)
      return response
    },
  })
}

show().catch((error) => {
  main.replaceChildren(Object.assign(document.createElement('p'), {
    className: 'notice', textContent: `The description of the API cannot be loaded: ${error.message}. Reload the page to try again.`,
  }))
  main.firstChild.setAttribute('role', 'alert')
})
