/**
 * @file Who is logged in: registering, logging in and out, and living access tokens.
 *
 * The refresh token is kept in storage and changes with every use; using one twice ends the session, so tabs of one
 * browser take turns (`lock`) and read what another tab stored before they ask. Access tokens stay in memory.
 */
import { Problem } from "./rest.js";

const KEY = "trimaran.session";
const DEVICE_KEY = "trimaran.device";
/** An access token with less life left is not used any more. */
const LIFE_MIN_S = 30;

/** The refresh token is not good any more: the user must log in again. */
export class SessionOver extends Error {
  constructor() {
    super("You have been signed out.");
    this.name = "SessionOver";
  }
}

export class Session {
  #rest;
  #storage;
  #clock;
  #lock;
  #access;
  #accessUntil_ms = 0;
  #refreshing;

  /**
   * @param {object} options
   * @param {import("./rest.js").Rest} options.rest
   * @param {import("./types.js").Storage} options.storage
   * @param {import("./types.js").Clock} options.clock
   * @param {<T>(name: string, call: () => Promise<T>) => Promise<T>} [options.lock] Excludes other tabs.
   */
  constructor({ rest, storage, clock, lock = (_name, call) => call() }) {
    this.#rest = rest;
    this.#storage = storage;
    this.#clock = clock;
    this.#lock = lock;
  }

  /** The user and device, or undefined while nobody is logged in. @returns {{user: object, device: string}|undefined} */
  get current() {
    const kept = this.#storage.get(KEY);
    return kept && { user: kept.user, device: kept.device };
  }

  /** @throws {Problem} */
  async register({ email, name, password, device_name }) {
    const body = { email, name, password, device_name };
    this.#began(await this.#rest.request("POST", "/user-service/auth/register", { body }), email);
  }

  /** Logs in as the same device as last time, if it was the same person's. @throws {Problem} */
  async login({ email, password, device_name }) {
    const kept = this.#storage.get(DEVICE_KEY);
    const device = kept?.email === email ? kept.device : undefined;
    const login = (body) => this.#rest.request("POST", "/user-service/auth/login", { body });
    let answer;
    try {
      answer = await login({ email, password, device_name, device });
    } catch (error) {
      const aboutDevice = error instanceof Problem && (error.field === "device" || error.code === "not_found");
      if (!device || !aboutDevice) throw error;
      answer = await login({ email, password, device_name }); // it was removed: be a new one
    }
    this.#began(answer, email);
  }

  /** Forgets the session here in any case, and on the server if it can be reached. */
  async logout() {
    const access = await this.accessToken().catch(() => undefined);
    this.forget();
    if (access) await this.#rest.request("POST", "/user-service/auth/logout", { token: access }).catch(() => {});
  }

  /** The session is over: by logging out, or because the server said so. */
  forget() {
    this.#storage.remove(KEY);
    this.#access = undefined;
    this.#accessUntil_ms = 0;
  }

  /**
   * An access token with some life left.
   * @param {boolean} [fresh] A new one, whatever life the last one has left.
   * @throws {SessionOver|Problem|import("./rest.js").NetworkError}
   */
  async accessToken(fresh = false) {
    if (!fresh && this.#accessUntil_ms - this.#clock.now() > LIFE_MIN_S * 1000) return this.#access;
    this.#refreshing ??= this.#lock(KEY, () => this.#refresh()).finally(() => (this.#refreshing = undefined));
    await this.#refreshing;
    return this.#access;
  }

  /** A request with the access token; one refused for it is repeated once with a fresh one. */
  async request(method, path, options = {}) {
    try {
      return await this.#rest.request(method, path, { ...options, token: await this.accessToken() });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      return this.#rest.request(method, path, { ...options, token: await this.accessToken(true) });
    }
  }

  async #refresh() {
    const kept = this.#storage.get(KEY);
    if (!kept) throw new SessionOver();
    const body = { refresh_token: kept.refresh_token };
    try {
      this.#began(await this.#rest.request("POST", "/user-service/auth/refresh", { body }), undefined);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      this.forget();
      throw new SessionOver();
    }
  }

  #began(answer, email) {
    const { user, device, refresh_token, access_token, expires_in_s } = answer;
    this.#storage.set(KEY, { user, device, refresh_token });
    if (email) this.#storage.set(DEVICE_KEY, { email, device });
    this.#access = access_token;
    this.#accessUntil_ms = this.#clock.now() + expires_in_s * 1000;
  }
}
