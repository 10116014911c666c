data_dir = "/var/lib/stead"

server {
  enabled = true
}

client {
  enabled = true
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}
