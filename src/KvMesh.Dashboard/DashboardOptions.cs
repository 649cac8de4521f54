using System.ComponentModel.DataAnnotations;

namespace KvMesh.Dashboard;

/// <summary>How the dashboard reaches its node and whom it lets in.</summary>
public sealed class DashboardOptions
{
    /// <summary>Address of the node's HTTP door. Null: the server that serves the page is the node.</summary>
    public Uri? Node { get; set; }

    /// <summary>Pages that may be open at the same time, over all viewers; the next one is told to wait. Each is one socket.</summary>
    [Range(1, 256)]
    public int MaxViews { get; set; } = 16;

    /// <summary>Time after which a viewer is asked for the token again.</summary>
    public TimeSpan SessionLifetime { get; set; } = TimeSpan.FromHours(12);

    /// <summary>
    /// Shows a node without credentials to viewers from other machines too. Off by default: without it such a viewer is refused,
    /// because a node without credentials has nothing to check a token against.
    /// </summary>
    public bool AllowAnonymousOffLoopback { get; set; }

    internal void Validate()
    {
        Validator.ValidateObject(this, new ValidationContext(this), validateAllProperties: true);
        if (Node is { IsAbsoluteUri: false } or { Scheme: not ("http" or "https") })
        {
            throw new ValidationException($"Node is '{Node}'; it must be an address such as http://127.0.0.1:8600/.");
        }

        if (SessionLifetime <= TimeSpan.Zero || SessionLifetime > TimeSpan.FromDays(30))
        {
            throw new ValidationException($"SessionLifetime is {SessionLifetime}; it must be more than zero and at most 30 days.");
        }
    }
}
