'use strict';
// HS256 tokens, as little as a peer in a test needs: RFC 7515, appendix A.1, and RFC 7519, section 4.1.

const { createHash, createHmac, timingSafeEqual } = require('crypto');

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (text) => JSON.parse(Buffer.from(text, 'base64url').toString());
const mac = (text, secret) => createHmac('sha256', secret).update(text).digest();

/** What is printed in place of a token: enough to tell two apart, useless to whoever reads the log. */
function fingerprint(token) {
  return typeof token === 'string' && token ? createHash('sha256').update(token).digest('hex').slice(0, 12) : null;
}

function sign(claims, secret) {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${mac(text, secret).toString('base64url')}`;
}

function claimsOf(token, secret) {
  const [header, body, signature, ...rest] = token.split('.');
  const given = Buffer.from(signature, 'base64url');
  const due = mac(`${header}.${body}`, secret);
  if (rest.length || decode(header).alg !== 'HS256' || given.length !== due.length || !timingSafeEqual(given, due)) {
    throw new Error('not ours');
  }
  return decode(body);
}

/** Throws `Token invalid` or `Token expired`, the two reasons that a close carries. */
function verify(token, secret) {
  let claims;
  try {
    claims = claimsOf(token, secret);
  } catch {
    throw new Error('Token invalid');
  }
  if (!(claims.exp > Date.now() / 1000)) throw new Error('Token expired');
  return claims;
}

module.exports = { fingerprint, sign, verify };
