using System.Globalization;

namespace KvMesh.Cli.Parsing;

/// <summary>Where a door listens, as written on the command line: <c>host:port</c>, <c>port</c>, or <c>off</c>.</summary>
/// <param name="Host">Null: as configured.</param>
/// <param name="Port">Meaningless when the door is off.</param>
internal sealed record ListenAddress(string? Host, int Port, bool IsOff)
{
    public const string Accepted = "host:port (127.0.0.1:8601, [::1]:8601) or a port alone; a port is 0 to 65535, and 0 any free one";

    public static bool TryParse(string text, out ListenAddress? address)
    {
        address = null;
        if (text.Equals("off", StringComparison.OrdinalIgnoreCase))
        {
            address = new ListenAddress(null, 0, IsOff: true);
            return true;
        }

        var colon = text.LastIndexOf(':');
        var host = colon > 0 ? text[..colon] : null;
        if (!int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port > 65535)
        {
            return false;
        }

        if (host is not null && host.StartsWith('[') && host.EndsWith(']'))
        {
            host = host[1..^1];
        }
        else if (host is not null && host.Contains(':'))
        {
            return false;
        }

        address = new ListenAddress(host, port, IsOff: false);
        return true;
    }
}
