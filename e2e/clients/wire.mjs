// Records the requests of clients.

/** A fetch that notes each request and its answer. */
export function recorder() {
  const seen = []
  const fetchAndNote = async (input, init = {}) => {
    const request = new Request(input, init)
    const response = await fetch(request.clone())
    seen.push({ method: request.method, url: new URL(request.url), body: await request.text(), status: response.status, vary: response.headers.get('vary'), cache: response.headers.get('cache-control') })
    return response
  }
  return { seen, fetch: fetchAndNote }
}

export const hello = 'query Hello { hello }'
export const login = 'mutation Login($body: LoginUserDto!) { login(body: $body) { token user { email } } }'
