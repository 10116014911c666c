# What inside.sh looks at: one group for each thing that cgroup v2 has to do.

job "machine" {
  type = "batch"

  group "web" {
    network {
      mode = "bridge"

      port "http" {
        static = 8080
        to     = 80
      }
    }

    task "httpd" {
      driver = "container"

      config {
        image   = "oci:/srv/image:web"
        command = "-c"
        args    = ["exec /bin/busybox httpd -f -p 80 -h /www"]
        ports   = ["http"]
      }

      resources {
        cpu    = 100
        memory = 48
      }
    }
  }

  group "hungry" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts = 0
    }

    task "eats" {
      driver = "container"

      config {
        image   = "oci:/srv/image:web"
        command = "-c"
        args    = ["dd if=/dev/zero of=/dev/null bs=200M count=1"]
      }

      resources {
        cpu    = 100
        memory = 32
      }
    }
  }

  group "plain" {
    task "raw" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "exec sleep 100000"]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }

  group "isolated" {
    task "exec" {
      driver = "exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "echo isolated; exec sleep 100000"]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
