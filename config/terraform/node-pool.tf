# A node pool whose nodes install the program when they start. Make the script first, with
# node-scripts/build-user-data.sh --config config.yaml … --out user-data.sh. Pods can read it: it must not
# hold a secret, and the script refuses a configuration with an AccessKey.
resource "alicloud_cs_kubernetes_node_pool" "nodes" {
  provider             = alicloud.cluster
  cluster_id           = var.cluster_id
  node_pool_name       = "acr-credential-provider"
  vswitch_ids          = var.vswitch_ids
  instance_types       = var.instance_types
  system_disk_category = "cloud_essd"
  system_disk_size     = 40
  key_name             = var.key_name
  desired_size         = 1
  user_data            = filebase64(var.user_data_file)
  # A node pulls as soon as it is there.
  depends_on = [
    alicloud_ram_role_policy_attachment.assume_registry_role,
    alicloud_ram_role_policy_attachment.pull,
  ]
}
