using System.Net.Sockets;
using System.Text;

namespace KvMesh.TestKit;

/// <summary>The Redis protocol as bytes, for clients that know what must come back.</summary>
public static class RespText
{
    /// <summary>Sends commands and returns so many bytes of their answers.</summary>
    public static async Task<string> AskAsync(TcpClient client, string commands, int answerBytes)
    {
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(commands));
        var answer = new byte[answerBytes];
        await stream.ReadExactlyAsync(answer).AsTask().Within($"{answerBytes} bytes of answer to {commands}");
        return Encoding.ASCII.GetString(answer);
    }
}
