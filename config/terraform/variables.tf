# The values of your accounts. Write those without a default into a file such as own.tfvars.

variable "region" {
  description = "The region of cluster and registry."
  type        = string
}

variable "cluster_profile" {
  description = "The profile of the vendor's command line for account A."
  type        = string
}

variable "registry_profile" {
  description = "The profile of the vendor's command line for account B."
  type        = string
}

variable "cluster_account" {
  description = "The id of account A."
  type        = string
}

variable "registry_account" {
  description = "The id of account B."
  type        = string
}

variable "identity" {
  description = "Who pulls: the worker role of the nodes (worker-role), or a role for a token of the cluster (rrsa)."
  type        = string
  default     = "worker-role"

  validation {
    condition     = contains(["worker-role", "rrsa"], var.identity)
    error_message = "The identity is worker-role or rrsa."
  }
}

variable "registry_role_name" {
  description = "The role in account B that may pull."
  type        = string
  default     = "acr-puller"
}

variable "worker_role_name" {
  description = "For worker-role: the RAM role of the nodes, as the cluster's page shows it."
  type        = string
  default     = ""
}

variable "rrsa_role_name" {
  description = "For rrsa: the role in account A for the token."
  type        = string
  default     = "acr-rrsa"
}

variable "oidc_provider_name" {
  description = "For rrsa: the name of the OIDC provider. The provider of an ACK cluster is ack-rrsa-<cluster id>."
  type        = string
  default     = ""
}

variable "issuer_url" {
  description = "For rrsa: the URL of the OIDC provider."
  type        = string
  default     = ""
}

variable "oidc_fingerprints" {
  description = "For rrsa on a cluster that is not an ACK cluster: fingerprints of the CA certificate of issuer_url. ACK itself makes the provider of its clusters: leave this empty there."
  type        = list(string)
  default     = []
}

variable "cluster_id" {
  description = "The cluster that gets the node pool."
  type        = string
}

variable "vswitch_ids" {
  description = "The vSwitches of the nodes."
  type        = list(string)
}

variable "instance_types" {
  description = "The instance types of the nodes."
  type        = list(string)
}

variable "key_name" {
  description = "The SSH key pair of the nodes, by its name."
  type        = string
}

variable "user_data_file" {
  description = "What node-scripts/build-user-data.sh wrote with --out."
  type        = string
  default     = "user-data.sh"
}
