# Account B: a role that may pull and do nothing else. It trusts the one role of account A.
resource "alicloud_ram_role" "puller" {
  provider    = alicloud.registry
  role_name   = var.registry_role_name
  description = "Pulls images for account ${var.cluster_account}."
  # Seconds; expireDuration in the configuration must not be above it.
  max_session_duration = 3600
  assume_role_policy_document = jsonencode({
    Version = "1"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { RAM = [local.cluster_role_arn] }
    }]
  })
  # RAM takes a principal only if it is there.
  depends_on = [alicloud_ram_role.rrsa]
}

resource "alicloud_ram_policy" "pull" {
  provider    = alicloud.registry
  policy_name = "acr-pull"
  policy_document = jsonencode({
    Version = "1"
    Statement = [{
      Effect   = "Allow"
      Action   = ["cr:GetAuthorizationToken", "cr:ListInstanceEndpoint", "cr:PullRepository"]
      Resource = "*"
    }]
  })
}

resource "alicloud_ram_role_policy_attachment" "pull" {
  provider    = alicloud.registry
  role_name   = alicloud_ram_role.puller.role_name
  policy_name = alicloud_ram_policy.pull.policy_name
  policy_type = "Custom"
}

output "assume_role_arn" {
  description = "For assumeRoleARN in the configuration."
  value       = local.registry_role_arn
}
