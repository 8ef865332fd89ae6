/** @file REST: JSON in and out, problem details (RFC 9457) as one kind of error. */

const REQUEST_S = 15;

/** The server said no; `code` is from the contract's list, `field` names what is at fault. */
export class Problem extends Error {
  constructor({ status, code, title, detail, message, field, retry_after_s }) {
    super(detail ?? message ?? title ?? `The server answered ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.field = field;
    this.retry_after_s = retry_after_s;
  }
}

/** No answer came: nothing is known about what happened to the request. */
export class NetworkError extends Error {
  constructor(cause) {
    super("The server cannot be reached.", { cause });
    this.name = "NetworkError";
  }
}

export class Rest {
  #base;
  #fetch;

  /**
   * @param {string} base Without a trailing slash; "" for the page's own origin.
   * @param {typeof fetch} fetch
   */
  constructor(base, fetch) {
    this.#base = base;
    this.#fetch = fetch;
  }

  /**
   * @param {string} method
   * @param {string} path From the root: "/user-service/users/me".
   * @param {{body?: object, token?: string, query?: Object<string, string|number|undefined>}} [options]
   * @returns {Promise<any>} The decoded body, or undefined for 204.
   * @throws {Problem|NetworkError}
   */
  async request(method, path, { body, token, query } = {}) {
    const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
    const search = given.length ? `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}` : "";
    const headers = { Accept: "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    let text;
    try {
      response = await this.#fetch(`${this.#base}${path}${search}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(REQUEST_S * 1000),
      });
      text = await response.text();
    } catch (error) {
      throw new NetworkError(error);
    }
    const answer = parsed(text);
    if (response.ok) return answer;
    const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
    throw new Problem({ retry_after_s: retryAfter, ...answer, status: response.status });
  }
}

function parsed(text) {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a gateway's own page
  }
}
