<?php
// Tells the helpdesk which customer an email address belongs to.
declare(strict_types=1);

const MAX_BODY = 16 * 1024;
const SIGNED_SECONDS_AGO = 5 * 60; // at most: a request that somebody recorded cannot be sent again later
const BADGES = ['enterprise' => ['Enterprise', 'green'], 'business' => ['Business', 'blue'], 'trial' => ['Trial', 'yellow']];

// A PHP warning printed into the answer would break its JSON, and a stack trace would write the address into your log.
ini_set('display_errors', '0');
set_exception_handler(function (Throwable $error): void {
    // Only our own words: any other message may hold an address.
    $reason = $error instanceof DomainException ? $error->getMessage() : $error::class . ' in line ' . $error->getLine();
    error_log("lookup failed: $reason");
    respond(500, ['error' => 'The lookup failed.']);
});

function respond(int $status, array $body): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    exit(json_encode($body, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE));
}

// Null where signatures are not checked; a key that is cut off or mistyped must not be taken for that, so it lets nobody in.
function signing_key(string $text): ?string
{
    if ($text === '') {
        return null;
    }
    $base64 = str_starts_with($text, 'whsec_') ? substr($text, strlen('whsec_')) : $text;
    $key = strlen($base64) % 4 === 0 && !preg_match('/\s/', $base64) ? base64_decode($base64, true) : false;
    return $key !== false && strlen($key) >= 24 && strlen($key) <= 64 ? $key
        : throw new DomainException('LOOKUP_SIGNING_KEY is no signing key: copy all of it, from whsec_ to its end.');
}

// Whether the helpdesk signed exactly these bytes, and just now (standardwebhooks.com).
function is_signed(string $key, string $body): bool
{
    $header = fn (string $name): string => $_SERVER["HTTP_WEBHOOK_$name"] ?? '';
    $moment = $header('TIMESTAMP');
    if (!preg_match('/^[0-9]{1,12}$/D', $moment) || abs(time() - (int) $moment) > SIGNED_SECONDS_AGO) {
        return false;
    }
    $signature = hash_hmac('sha256', "{$header('ID')}.$moment.$body", $key, true);
    $expected = 'v1,' . base64_encode($signature);
    // While the key is being changed there are two, of the new key and of the old one.
    return array_filter(explode(' ', $header('SIGNATURE')), fn (string $one): bool => hash_equals($expected, $one)) !== [];
}

function answer(array|false $customer): array
{
    if ($customer === false) {
        return ['found' => false];
    }
    [$badge, $color] = $customer['blocked'] ? ['Blocked', 'red'] : BADGES[$customer['plan']] ?? ['Customer', 'gray'];
    // The panel shows text, five fields at most: what you do not know is left out, numbers become strings (0 is known).
    $fields = array_filter([
        'Plan' => $customer['plan'],
        'Yearly value (CZK)' => $customer['yearly_value'],
        'Seats' => $customer['seats'],
        'Customer since' => $customer['since'],
        'Owner' => $customer['owner'],
    ], fn ($value) => $value !== null);
    return [
        'found' => true,
        'customer_id' => (string) $customer['id'],
        'name' => $customer['name'],
        'badge' => $badge,
        'badge_color' => $color,
        'fields' => (object) array_map('strval', $fields), // an empty PHP array would become [] and not {}
    ];
}

$signing_key = signing_key((string) getenv('LOOKUP_SIGNING_KEY'));
if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) !== '/lookup') {
    respond(404, ['error' => 'There is only POST /lookup.']);
}
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    header('Allow: POST');
    respond(405, ['error' => 'Use POST.']);
}

// Anyone on the internet can send a request, so nothing is read before the secret is right. A plain === would tell by its
// timing how many characters were. An unset secret must let nobody in: without this line an empty header would equal it.
$secret = getenv('LOOKUP_SECRET') ?: throw new RuntimeException('LOOKUP_SECRET is not set');
if (!hash_equals($secret, $_SERVER['HTTP_X_API_KEY'] ?? '')) {
    respond(401, ['error' => 'X-Api-Key is missing or wrong.']);
}

$body = file_get_contents('php://input', length: MAX_BODY + 1);
if (strlen($body) > MAX_BODY) {
    respond(413, ['error' => 'The body is too large.']);
}
if ($signing_key !== null && !is_signed($signing_key, $body)) {
    respond(401, ['error' => 'The signature is missing or wrong.']);
}
$email = json_decode($body, true)['email'] ?? null;
if (!is_string($email)) {
    respond(400, ['error' => 'Send a JSON object with a string "email".']);
}

// Read-only, because a lookup never has to write; prepared, so that an address can never become SQL.
$database = new PDO('sqlite:file:' . (getenv('LOOKUP_DATABASE') ?: __DIR__ . '/customers.sqlite3') . '?mode=ro');
$customers = $database->prepare('SELECT * FROM customers WHERE email = ?');
$customers->execute([$email]);
respond(200, answer($customers->fetch(PDO::FETCH_ASSOC)));
