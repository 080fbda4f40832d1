# Roles and policies of both accounts, and a node pool that installs the program on its nodes.
#
# Account A is the account of the cluster, account B the account of the registry. Each has a profile of
# the vendor's command line. No AccessKey is in these files, and none belongs into them.
#
#   terraform init
#   terraform apply -var-file=own.tfvars
terraform {
  required_version = ">= 1.5"
  required_providers {
    alicloud = {
      source = "aliyun/alicloud"
      # From this one on a role has `role_name` and `assume_role_policy_document`.
      version = ">= 1.252.0"
    }
  }
}

provider "alicloud" {
  alias   = "cluster"
  region  = var.region
  profile = var.cluster_profile
}

provider "alicloud" {
  alias   = "registry"
  region  = var.region
  profile = var.registry_profile
}
