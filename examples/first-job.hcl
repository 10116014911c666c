# Two groups: a web server on the bridge with a published port, and a task that runs once.

variable "image" {
  type        = string
  description = "The web server's image; oci:<directory> takes it from a layout on this host"
}

job "first-job" {
  # A batch job is done when its groups are; the web server runs until it is stopped.
  type = "batch"

  group "web" {
    network {
      mode = "bridge"

      port "http" {
        static = 8080
        to     = 80
      }
    }

    task "nginx" {
      driver = "container"

      config {
        image = var.image
        ports = ["http"]
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }

  group "greeting" {
    task "hello" {
      driver = "exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "echo \"hello from $NOMAD_ALLOC_NAME on $(uname -s)\""]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
