using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>A client that sends bytes and reads whole replies as bytes, of either dialect.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly Socket _socket;
    private readonly byte[] _buffer = new byte[1 << 16];
    private int _start;
    private int _end;

    public RawClient(int port)
    {
        _socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = (int)Eventually.Patience.TotalMilliseconds };
        _socket.Connect(new IPEndPoint(IPAddress.Loopback, port));
    }

    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[_socket.Send(bytes)..];
        }
    }

    public string Ask(string request)
    {
        Send(Encoding.Latin1.GetBytes(request));
        return ReadReply();
    }

    public string Ask(byte[] request)
    {
        Send(request);
        return ReadReply();
    }

    /// <summary>Exactly so many bytes, as a client that does not look at them reads.</summary>
    public string ReadExactly(int bytes)
    {
        var text = new StringBuilder(bytes);
        while (text.Length < bytes)
        {
            Fill();
            var count = Math.Min(bytes - text.Length, _end - _start);
            text.Append(Encoding.Latin1.GetString(_buffer, _start, count));
            _start += count;
        }

        return text.ToString();
    }

    /// <summary>One reply with everything in it.</summary>
    public string ReadReply()
    {
        var reply = new StringBuilder();
        AppendReply(reply);
        return reply.ToString();
    }

    /// <summary>What comes until the server closes.</summary>
    public string ReadToEnd()
    {
        var text = new StringBuilder();
        try
        {
            while (true)
            {
                Fill();
                text.Append(Encoding.Latin1.GetString(_buffer, _start, _end - _start));
                _start = _end;
            }
        }
        catch (EndOfStreamException)
        {
            return text.ToString();
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.ConnectionReset)
        {
            return text.ToString();
        }
    }

    public void Dispose() => _socket.Dispose();

    private void AppendReply(StringBuilder reply)
    {
        var line = ReadLine();
        reply.Append(line).Append("\r\n");
        if (line[0] is not ('$' or '=' or '*' or '%' or '~' or '>'))
        {
            return;
        }

        var count = int.Parse(line.AsSpan(1), CultureInfo.InvariantCulture);
        if (line[0] is '$' or '=')
        {
            reply.Append(count < 0 ? "" : ReadExactly(count + 2));
            return;
        }

        for (var element = 0; element < count * (line[0] == '%' ? 2 : 1); element++)
        {
            AppendReply(reply);
        }
    }

    private string ReadLine()
    {
        var line = new StringBuilder();
        while (true)
        {
            var next = ReadExactly(1)[0];
            if (next == '\n' && line.Length > 0 && line[^1] == '\r')
            {
                return line.ToString(0, line.Length - 1);
            }

            line.Append(next);
        }
    }

    private void Fill()
    {
        if (_start == _end)
        {
            _start = 0;
            _end = _socket.Receive(_buffer);
            if (_end == 0)
            {
                throw new EndOfStreamException("The server closed the connection.");
            }
        }
    }
}
