#!/bin/sh
# php -S runs index.php only when a request arrives, which is too late to refuse to start.
: "${LOOKUP_SECRET:?Set it to the header value that you gave the connector.}"
# Loopback only: a proxy with a certificate belongs before it, because connectors ask over https.
exec php -S "127.0.0.1:${LOOKUP_PORT:-8102}" "$(dirname "$0")/index.php"
