using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>Writes and reads blocks as a client of Redis does. One caller at a time.</summary>
internal sealed class RespBlocks : IDisposable
{
    private readonly TcpClient _client = new() { NoDelay = true };

    public static async Task<RespBlocks> ConnectAsync(IPEndPoint endpoint)
    {
        var blocks = new RespBlocks();
        await blocks._client.ConnectAsync(endpoint);
        return blocks;
    }

    public async Task SetAsync(string key, byte[] value)
    {
        var stream = _client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"*3\r\n$3\r\nSET\r\n${key.Length}\r\n{key}\r\n${value.Length}\r\n"));
        await stream.WriteAsync(value);
        await stream.WriteAsync("\r\n"u8.ToArray());
        Assert.Equal("+OK", await LineAsync(stream));
    }

    /// <summary>The value; null: there is none.</summary>
    public async Task<byte[]?> GetAsync(string key)
    {
        var stream = _client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"*2\r\n$3\r\nGET\r\n${key.Length}\r\n{key}\r\n"));
        var head = await LineAsync(stream);
        if (head == "$-1")
        {
            return null;
        }

        var value = new byte[int.Parse(head[1..], CultureInfo.InvariantCulture) + 2];
        await stream.ReadExactlyAsync(value).AsTask().Within($"the value of {key}");
        return value[..^2];
    }

    public void Dispose() => _client.Dispose();

    private static async Task<string> LineAsync(NetworkStream stream)
    {
        var line = new StringBuilder();
        var one = new byte[1];
        while (!(line.Length > 1 && line[^1] == '\n'))
        {
            await stream.ReadExactlyAsync(one).AsTask().Within("a line of answer");
            line.Append((char)one[0]);
        }

        return line.ToString().TrimEnd();
    }
}
