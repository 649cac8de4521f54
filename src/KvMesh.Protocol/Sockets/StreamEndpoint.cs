using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KvMesh.Protocol.Sockets;

/// <summary>The text form of endpoints: <c>host:port</c>, <c>[::1]:port</c>, or the path of a Unix socket, with or without <c>unix:</c>.</summary>
public static class StreamEndpoint
{
    private const string UnixPrefix = "unix:";

    /// <summary>Longest path of a Unix socket, in bytes: <c>sun_path</c> with its terminating zero is 108.</summary>
    private const int MaxUnixPathBytes = 107;

    /// <summary>Parses an endpoint; throws <see cref="FormatException"/> naming the text and what is expected.</summary>
    public static EndPoint Parse(string text)
    {
        if (text.StartsWith(UnixPrefix, StringComparison.Ordinal))
        {
            return Unix(text[UnixPrefix.Length..]);
        }

        if (text.StartsWith('/'))
        {
            return Unix(text);
        }

        var colon = text.LastIndexOf(':');
        var isPort = int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port);
        if (colon <= 0 || !isPort || port > ushort.MaxValue)
        {
            throw new FormatException($"'{text}' is no endpoint: expected host:port with a port of 0 to 65535, or the absolute path of a Unix socket.");
        }

        var host = text[..colon].Trim('[', ']');
        return IPAddress.TryParse(host, out var address) ? new IPEndPoint(address, port) : new DnsEndPoint(host, port);
    }

    /// <summary>The endpoint of a Unix socket; throws <see cref="FormatException"/> when the path does not fit into a socket address.</summary>
    public static EndPoint Unix(string path)
    {
        var bytes = System.Text.Encoding.UTF8.GetByteCount(path);
        return bytes is > 0 and <= MaxUnixPathBytes
            ? new UnixDomainSocketEndPoint(path)
            : throw new FormatException($"The Unix socket path '{path}' has {bytes} bytes; 1 to {MaxUnixPathBytes} are possible.");
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public static string Describe(EndPoint endpoint) => endpoint switch
    {
        DnsEndPoint name => $"{name.Host}:{name.Port.ToString(CultureInfo.InvariantCulture)}",
        UnixDomainSocketEndPoint path => UnixPrefix + path,
        _ => endpoint.ToString() ?? "",
    };
}
