#!/usr/bin/env bash
# certs.sh FOLDER HOST… : creates a temporary PKI for one rig: a CA, one certificate for all
# servers, one for the charts' repositories at each HOST, one for an administrator (group
# system:masters), and the service account key.
set -euo pipefail
cd "$1"
umask 077
sign() { # NAME SUBJECT EXTENSIONS
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -sha256 -extfile <(echo "$3") -out "$1.crt" 2> /dev/null
}
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -subj /CN=rig-ca -days 30 -sha256 -out ca.crt \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
sign server /CN=rig-server "subjectAltName=$names,IP:127.0.0.1,IP:10.96.0.1,IP:10.244.0.1
extendedKeyUsage=serverAuth,clientAuth"
sign charts /CN=rig-charts "subjectAltName=$(printf ',DNS:%s' "${@:2}" | cut -c 2-)
extendedKeyUsage=serverAuth"
sign admin /O=system:masters/CN=rig-admin extendedKeyUsage=clientAuth
openssl genrsa -out sa.key 2048 2> /dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2> /dev/null
# token,user,uid,groups: for clients that authenticate with a bearer token
echo "$(openssl rand -hex 16),rig-token-admin,u1,\"system:masters\"" > tokens.csv
