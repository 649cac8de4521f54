using System.Diagnostics;
using System.Text;
using KvMesh.Protocol;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp;

/// <summary>From a scanned request to the command that executes it, in the order in which Redis checks.</summary>
internal sealed partial class RespSession
{
    private void Execute(in RespRequest request)
    {
        if (_batch.Commands++ == 0)
        {
            _batch.StartedAt = Stopwatch.GetTimestamp();
        }

        var command = Services.Commands.Find(request[0]);
        if (command is null)
        {
            IsStrict = false;
            Fail(UnknownCommand(request));
            return;
        }

        if (command.Subcommands.Count > 0 && request.Count > 1)
        {
            command = FindSubcommand(command, request);
            if (command is null)
            {
                return;
            }
        }

        LastCommand = command;
        IsStrict &= command.IsStrict(request.Count) && !_scanner.IsInline;
        if (!command.Accepts(request.Count))
        {
            Fail(RespErrors.Arity(command));
        }
        else if (Caller is null && !command.IsOpen)
        {
            Fail(RespErrors.NoAuth);
        }
        else if (Caller is not null && !Caller.May(command.Rights))
        {
            FailSoftly(command, RespErrors.Forbidden(command));
        }
        else if (AreArgumentsHere(command, request))
        {
            command.Body!(this, request);
        }
    }

    /// <summary>Writes an error.</summary>
    public void Fail(string error)
    {
        _batch.Errors++;
        Writer.WriteError(error);
    }

    /// <summary>Writes an error, or, to a client that cannot bear one, what it takes for a miss.</summary>
    public void FailSoftly(RespCommand command, string error)
    {
        if (!IsStrict || command.StrictReply.Length == 0)
        {
            Fail(error);
            return;
        }

        _batch.DroppedWrites += command.FirstValue > 0 ? 1 : 0;
        Writer.WriteRaw(command.StrictReply);
    }

    /// <summary>Whether every key is short enough and every argument is either in the buffer or a value that was taken elsewhere.</summary>
    private bool AreArgumentsHere(RespCommand command, in RespRequest request)
    {
        if (command.FirstKey > 0)
        {
            var last = command.LastKey >= 0 ? command.LastKey : request.Count + command.LastKey;
            for (var key = command.FirstKey; key <= last; key += command.KeyStep)
            {
                if (request.LengthOf(key) > Limits.MaxKeyBytes)
                {
                    FailSoftly(command, RespErrors.KeyTooLong(request.LengthOf(key), Limits.MaxKeyBytes));
                    return false;
                }
            }
        }

        for (var index = 0; _values.HasPassedBulk && index < request.Count; index++)
        {
            if (request.IsAbsent(index) && !command.IsValue(index))
            {
                FailSoftly(command, RespErrors.ArgumentTooLong(index, request.LengthOf(index), Services.Options.MaxRequestBytes));
                return false;
            }
        }

        return true;
    }

    private RespCommand? FindSubcommand(RespCommand container, in RespRequest request)
    {
        if (container.Subcommands.TryGetValue(Encoding.Latin1.GetString(request[1]), out var command))
        {
            return command;
        }

        IsStrict = false;
        Fail($"ERR unknown subcommand '{Text(request[1], 128)}'. Try {container.Name.ToUpperInvariant()} HELP.");
        return null;
    }

    private static string UnknownCommand(in RespRequest request)
    {
        var arguments = new StringBuilder();
        for (var index = 1; index < request.Count && arguments.Length < 128; index++)
        {
            arguments.Append('\'').Append(Text(request[index], 128 - arguments.Length)).Append("' ");
        }

        return $"ERR unknown command '{Text(request[0], 128)}', with args beginning with: {arguments}";
    }

    /// <summary>As C prints it: up to the first zero byte.</summary>
    private static string Text(ReadOnlySpan<byte> bytes, int limit)
    {
        bytes = bytes[..Math.Min(bytes.Length, limit)];
        var end = bytes.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? bytes : bytes[..end]);
    }

    /// <summary>
    /// Decides about a bulk that is too long to be buffered without a reason: a value is streamed to where it will stay, another
    /// argument is buffered while the request may still grow, and everything else is read and forgotten. False when the peer has gone.
    /// </summary>
    private bool TakeLargeBulk()
    {
        var head = _scanner.Request(_input.Unread);
        var index = _scanner.ArgumentCount;
        var command = index == 0 ? null : Services.Commands.Find(head[0]);
        if (command?.IsValue(index) == true)
        {
            _expectsValue = true;
            var isWanted = command.Accepts(_scanner.ExpectedArguments) && Caller?.May(command.Rights) == true;
            return isWanted
                ? _values.Stream(head[command.KeyOfValue(index)], head.LengthOf(command.KeyOfValue(index)), index, _scanner, _input)
                : _values.Drain(_scanner, _input);
        }

        if (_scanner.Position + (long)_scanner.BulkBytes + RespLimits.MaxLineBytes <= Services.Options.MaxRequestBytes)
        {
            _scanner.BufferBulk();
            return true;
        }

        return _values.Drain(_scanner, _input);
    }
}
