// Sign-In with Ethereum: the message of EIP-4361, exactly as the service reads it.

/** The text that `personal_sign` signs; `issuedAt` in whole seconds, UTC. */
export function signInText({ host, address, statement, uri, chainId, nonce, issuedAt }) {
  return [
    `${host} wants you to sign in with your Ethereum account:`,
    address,
    "",
    statement,
    "",
    `URI: ${uri}`,
    "Version: 1",
    `Chain ID: ${chainId}`,
    `Nonce: ${nonce}`,
    `Issued At: ${issuedAt.toISOString().replace(/\.\d+Z$/, "Z")}`,
  ].join("\n");
}
