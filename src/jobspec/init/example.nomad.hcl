# A job says what should run. Start it with:
#
#   stead job run example.nomad.hcl
#
# and see what it would change before that with `stead job plan`.
job "example" {
  # "service" (the default) runs until it is stopped, "batch" until it is done,
  # "system" once on every node.
  type = "service"

  # A group is what is placed together on one node: tasks that share a network
  # and a directory. `count` says how many of it there should be.
  group "cache" {
    count = 1

    # In bridge mode the group gets a network of its own. The port inside is
    # 6379; outside it is one that is free, unless `static` names it:
    #
    #   port "redis" {
    #     static = 6379
    #     to     = 6379
    #   }
    network {
      mode = "bridge"
      port "redis" {
        to = 6379
      }
    }

    # A service makes the port known under a name, and only while it is healthy.
    service {
      name     = "redis"
      port     = "redis"
      provider = "nomad"

      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # What happens when a task ends with an error: two more tries within half
    # an hour, then the group is placed anew.
    restart {
      attempts = 2
      interval = "30m"
      delay    = "15s"
      mode     = "fail"
    }

    # A task is one program. The driver says how it is run; the block `config`
    # is the driver's own.
    task "redis" {
      driver = "docker"

      config {
        image = "redis:7"
        ports = ["redis"]

        # command = "redis-server"
        # args    = ["--appendonly", "yes"]
      }

      # Variables for the program. ${...} is filled in where the task runs.
      env {
        REDIS_PORT = "${NOMAD_PORT_redis}"
      }

      # A file made from a template, renewed whenever what it names changes.
      #
      # template {
      #   destination = "local/redis.conf"
      #   data        = <<-EOT
      #     bind 0.0.0.0
      #     {{ with nomadVar "nomad/jobs/example" }}requirepass {{ .password }}{{ end }}
      #   EOT
      # }

      # Reserved for the task: MHz and MB.
      resources {
        cpu    = 500
        memory = 256
      }
    }
  }
}
