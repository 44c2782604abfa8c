#!/bin/sh
# Prints fresh secrets for `.env`:  (umask 077; sh deploy/secrets.sh > .env)
set -eu

hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

echo "ADMIN_API_KEY=vx_$(hex 24)"
echo "LIVEKIT_API_SECRET=$(hex 32)"
echo "POSTGRES_PASSWORD=$(hex 24)"
echo "RESULT_SIGNING_SECRET=whsec_$(head -c 32 /dev/urandom | base64 | tr -d '\n')"
echo "S3_SECRET_ACCESS_KEY=$(hex 24)"
echo "VOXCORE_SECRET=$(hex 32)"
