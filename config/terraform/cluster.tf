# Account A: who pulls, and that it may assume the role of account B.
locals {
  is_rrsa           = var.identity == "rrsa"
  cluster_role_name = local.is_rrsa ? var.rrsa_role_name : var.worker_role_name
  cluster_role_arn  = "acs:ram::${var.cluster_account}:role/${local.cluster_role_name}"
  registry_role_arn = "acs:ram::${var.registry_account}:role/${var.registry_role_name}"
}

# Only for clusters whose provider is not there yet: ACK makes it when RRSA is enabled.
resource "alicloud_ims_oidc_provider" "cluster" {
  provider           = alicloud.cluster
  count              = local.is_rrsa && length(var.oidc_fingerprints) > 0 ? 1 : 0
  oidc_provider_name = var.oidc_provider_name
  issuer_url         = var.issuer_url
  fingerprints       = var.oidc_fingerprints
  client_ids         = ["sts.aliyuncs.com"]
}

# For the token that config/token-daemonset.yaml puts on each node.
resource "alicloud_ram_role" "rrsa" {
  provider    = alicloud.cluster
  count       = local.is_rrsa ? 1 : 0
  role_name   = var.rrsa_role_name
  description = "Pulls images of account ${var.registry_account}."
  assume_role_policy_document = jsonencode({
    Version = "1"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Federated = ["acs:ram::${var.cluster_account}:oidc-provider/${var.oidc_provider_name}"] }
      Condition = {
        StringEquals = {
          "oidc:iss" = var.issuer_url
          "oidc:aud" = "sts.aliyuncs.com"
          "oidc:sub" = "system:serviceaccount:kube-system:acr-credential-provider-token"
        }
      }
    }]
  })
  depends_on = [alicloud_ims_oidc_provider.cluster]
}

resource "alicloud_ram_policy" "assume_registry_role" {
  provider    = alicloud.cluster
  policy_name = "acr-assume-puller"
  policy_document = jsonencode({
    Version = "1"
    Statement = [{
      Effect   = "Allow"
      Action   = "sts:AssumeRole"
      Resource = local.registry_role_arn
    }]
  })
}

resource "alicloud_ram_role_policy_attachment" "assume_registry_role" {
  provider    = alicloud.cluster
  role_name   = local.is_rrsa ? alicloud_ram_role.rrsa[0].role_name : var.worker_role_name
  policy_name = alicloud_ram_policy.assume_registry_role.policy_name
  policy_type = "Custom"
}
