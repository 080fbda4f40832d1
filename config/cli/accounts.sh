#!/bin/sh
# Makes the roles and policies of both accounts, and a node pool that installs the program on its nodes,
# with the vendor's command line. Account A is the account of the cluster, account B that of the registry.
# Each has a profile of the command line (aliyun configure --profile NAME). No AccessKey is in this file.
#
#   CLUSTER_PROFILE, REGISTRY_PROFILE   the profiles of accounts A and B
#   CLUSTER_ACCOUNT, REGISTRY_ACCOUNT   their ids
#   WORKER_ROLE                         for the worker role: the RAM role of the nodes, by its name
#   OIDC_PROVIDER, ISSUER_URL           for RRSA: name and URL of the OIDC provider, instead of WORKER_ROLE
#   FINGERPRINT                         for RRSA on a cluster that is not an ACK cluster: the fingerprint of
#                                       the CA certificate of ISSUER_URL. ACK makes the provider itself
#   CLUSTER_ID, VSWITCH_ID, INSTANCE_TYPE, KEY_PAIR, USER_DATA_FILE
#                                       for the node pool; the file is that of
#                                       node-scripts/build-user-data.sh --base64 --out. Without
#                                       CLUSTER_ID none is made
#
# It stops at the first call that fails. What is there already makes its call fail: run the rest by hand.
set -eu

cluster() { aliyun --profile "$CLUSTER_PROFILE" "$@"; }
registry() { aliyun --profile "$REGISTRY_PROFILE" "$@"; }

# Account A: who pulls.
if [ -n "${OIDC_PROVIDER-}" ]; then
    role=acr-rrsa
    [ -z "${FINGERPRINT-}" ] ||
        cluster ims CreateOIDCProvider --OIDCProviderName "$OIDC_PROVIDER" --IssuerUrl "$ISSUER_URL" \
            --Fingerprints "$FINGERPRINT" --ClientIds sts.aliyuncs.com
    cluster ram CreateRole --RoleName "$role" --AssumeRolePolicyDocument '{
  "Version": "1",
  "Statement": [{
    "Effect": "Allow",
    "Action": "sts:AssumeRole",
    "Principal": {"Federated": ["acs:ram::'"$CLUSTER_ACCOUNT"':oidc-provider/'"$OIDC_PROVIDER"'"]},
    "Condition": {"StringEquals": {
      "oidc:iss": "'"$ISSUER_URL"'",
      "oidc:aud": "sts.aliyuncs.com",
      "oidc:sub": "system:serviceaccount:kube-system:acr-credential-provider-token"
    }}
  }]
}'
else
    role=$WORKER_ROLE
fi

# It may assume the role of account B and no other.
cluster ram CreatePolicy --PolicyName acr-assume-puller --PolicyDocument '{
  "Version": "1",
  "Statement": [{
    "Effect": "Allow",
    "Action": "sts:AssumeRole",
    "Resource": "acs:ram::'"$REGISTRY_ACCOUNT"':role/acr-puller"
  }]
}'
cluster ram AttachPolicyToRole --RoleName "$role" --PolicyName acr-assume-puller --PolicyType Custom

# Account B: a role that may pull and do nothing else.
registry ram CreateRole --RoleName acr-puller --MaxSessionDuration 3600 --AssumeRolePolicyDocument '{
  "Version": "1",
  "Statement": [{
    "Effect": "Allow",
    "Action": "sts:AssumeRole",
    "Principal": {"RAM": ["acs:ram::'"$CLUSTER_ACCOUNT"':role/'"$role"'"]}
  }]
}'
registry ram CreatePolicy --PolicyName acr-pull --PolicyDocument '{
  "Version": "1",
  "Statement": [{
    "Effect": "Allow",
    "Action": ["cr:GetAuthorizationToken", "cr:ListInstanceEndpoint", "cr:PullRepository"],
    "Resource": "*"
  }]
}'
registry ram AttachPolicyToRole --RoleName acr-puller --PolicyName acr-pull --PolicyType Custom

# Account A: nodes that install the program when they start. Pods can read user data: it holds no secret.
[ -z "${CLUSTER_ID-}" ] ||
    cluster cs POST "/clusters/$CLUSTER_ID/nodepools" --header 'Content-Type=application/json' --body '{
  "nodepool_info": {"name": "acr-credential-provider"},
  "scaling_group": {
    "vswitch_ids": ["'"$VSWITCH_ID"'"],
    "instance_types": ["'"$INSTANCE_TYPE"'"],
    "system_disk_category": "cloud_essd",
    "system_disk_size": 40,
    "key_pair": "'"$KEY_PAIR"'",
    "desired_size": 1
  },
  "kubernetes_config": {"runtime": "containerd", "user_data": "'"$(cat "$USER_DATA_FILE")"'"}
}'
