// The JSON API, called by our own pages: the cookie goes along, failures are problems (RFC 9457).

export class ApiProblem extends Error {
  constructor({ code, detail, status, document = {} }) {
    super(detail || code);
    this.name = "ApiProblem";
    this.code = code;
    this.detail = detail || "";
    this.status = status;
    this.document = document; // Everything that the service said, such as `errors` by field.
  }
}

/** The JSON at a path such as "/v1/market". */
export function get(path, options = {}) {
  return send("GET", path, undefined, options);
}

/** Sends a body as JSON, and gives what comes back: JSON, or null where there is none. */
export async function send(method, path, body, { headers = {}, signal } = {}) {
  const response = await answered(path, {
    method,
    signal,
    credentials: "same-origin",
    headers: {
      Accept: "application/json",
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const document = await read(response);
  if (!response.ok) {
    const { code = "internal_error", detail = "" } = document ?? {};
    throw new ApiProblem({ code, detail, status: response.status, document: document ?? {} });
  }
  return document;
}

async function answered(path, request) {
  try {
    return await fetch(path, request);
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new ApiProblem({ code: "unreachable", detail: "", status: 0 });
  }
}

async function read(response) {
  const text = await response.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null; // Something between the service and us answered.
  }
}
