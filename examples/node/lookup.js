// Tells the helpdesk which customer an email address belongs to.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { STATUS_CODES } from "node:http";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import express from "express";

const { LOOKUP_SECRET, LOOKUP_SIGNING_KEY, LOOKUP_PORT = "8101" } = process.env;
const { LOOKUP_DATABASE = join(import.meta.dirname, "customers.sqlite3") } = process.env;
if (!LOOKUP_SECRET) {
  console.error("Set LOOKUP_SECRET to the header value that you gave the connector.");
  process.exit(1);
}

// Unset means that signatures are not checked; a key that is cut off or mistyped must not be taken for that.
// Buffer.from passes over whatever is no base64, so the text is looked at first.
const base64 = (LOOKUP_SIGNING_KEY ?? "").replace(/^whsec_/, "");
const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64);
const signingKey = LOOKUP_SIGNING_KEY ? Buffer.from(isBase64 ? base64 : "", "base64") : null;
if (signingKey && (signingKey.length < 24 || signingKey.length > 64)) {
  console.error("LOOKUP_SIGNING_KEY is no signing key: copy all of it, from whsec_ to its end.");
  process.exit(1);
}

// Read-only, because a lookup never has to write; prepared, so that an address can never become SQL.
const customerByEmail = new DatabaseSync(LOOKUP_DATABASE, { readOnly: true }).prepare("SELECT * FROM customers WHERE email = ?");

// Anyone on the internet can send a request, so nothing is read before the secret is right. A plain === would tell
// by its timing how many characters were; timingSafeEqual throws on unequal lengths, and digests are always equally long.
const digest = (text) => createHash("sha256").update(text, "latin1").digest();
const secretDigest = createHash("sha256").update(LOOKUP_SECRET).digest();
const checkSecret = (request, response, next) =>
  timingSafeEqual(digest(request.get("X-Api-Key") ?? ""), secretDigest)
    ? next()
    : response.status(401).json({ error: "X-Api-Key is missing or wrong." });

// Whether the helpdesk signed exactly these bytes, and just now (standardwebhooks.com): what somebody recorded cannot be sent
// again later. While the key is being changed there are two signatures, of the new key and of the old one.
const SIGNED_SECONDS_AGO = 5 * 60;
function isSigned(request, body) {
  const { "webhook-id": id = "", "webhook-timestamp": moment = "", "webhook-signature": signatures = "" } = request.headers;
  if (!/^[0-9]{1,12}$/.test(moment) || Math.abs(Date.now() / 1000 - Number(moment)) > SIGNED_SECONDS_AGO) return false;
  const signature = createHmac("sha256", signingKey).update(`${id}.${moment}.`, "latin1").update(body).digest("base64");
  return signatures.split(" ").some((one) => timingSafeEqual(digest(one), digest(`v1,${signature}`)));
}
const checkSignature = (request, response, body) => {
  if (signingKey && !isSigned(request, body)) throw Object.assign(new Error(), { type: "unsigned" });
};

const BADGES = { enterprise: ["Enterprise", "green"], business: ["Business", "blue"], trial: ["Trial", "yellow"] };

function answer(customer) {
  if (!customer) return { found: false };
  const [badge, badge_color] = customer.blocked ? ["Blocked", "red"] : (BADGES[customer.plan] ?? ["Customer", "gray"]);
  const fields = {
    Plan: customer.plan,
    "Yearly value (CZK)": customer.yearly_value,
    Seats: customer.seats,
    "Customer since": customer.since,
    Owner: customer.owner,
  };
  // The panel shows text, five fields at most: what you do not know is left out, numbers become strings (0 is known).
  const shown = Object.entries(fields).flatMap(([key, value]) => (value === null ? [] : [[key, String(value)]]));
  return { found: true, customer_id: String(customer.id), name: customer.name, badge, badge_color, fields: Object.fromEntries(shown) };
}

const app = express();
app.disable("x-powered-by");
app.post("/lookup", checkSecret, express.json({ limit: "16kb", verify: checkSignature }), (request, response) => {
  const email = request.body?.email;
  if (typeof email !== "string") return response.status(400).json({ error: 'Send a JSON object with a string "email".' });
  response.json(answer(customerByEmail.get(email)));
});
app.all("/lookup", (request, response) => response.status(405).set("Allow", "POST").json({ error: "Use POST." }));
app.use((request, response) => response.status(404).json({ error: "There is only POST /lookup." }));
// Express knows an error handler by its four parameters. The message stays here: a parser's quotes the body, with the address.
app.use((error, request, response, next) => {
  if (error.type === "unsigned") return response.status(401).json({ error: "The signature is missing or wrong." });
  const status = error.status ?? 500;
  if (status >= 500) console.error("lookup failed:", error.code ?? error.name);
  response.status(status).json({ error: status === 400 ? "The body is not JSON." : STATUS_CODES[status] });
});

// Loopback only: a proxy with a certificate belongs before it, because connectors ask over https.
app.listen(Number(LOOKUP_PORT), "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`Lookup endpoint on http://127.0.0.1:${LOOKUP_PORT}/lookup`);
});
