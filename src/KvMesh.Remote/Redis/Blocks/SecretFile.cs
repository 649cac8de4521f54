using System.Text;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>A secret in a file is not what it says, or others may read it.</summary>
public sealed class SecretFileException : Exception
{
    public SecretFileException()
    {
    }

    public SecretFileException(string message)
        : base(message)
    {
    }

    public SecretFileException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

/// <summary>Reads secrets from files that belong to nobody else. No message shows a byte of a secret.</summary>
internal static class SecretFile
{
    public const int KeyBytes = 32;

    private const int MaxFileBytes = 4096;

    private const UnixFileMode OthersModes =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>An AES-256 key: 32 bytes as they are, or 64 hexadecimal digits with white space around them.</summary>
    public static byte[] ReadKey(string path)
    {
        var bytes = Read(path);
        if (bytes.Length == KeyBytes)
        {
            return bytes;
        }

        var text = Encoding.Latin1.GetString(bytes).Trim();
        return text.Length == 2 * KeyBytes && text.All(char.IsAsciiHexDigit)
            ? Convert.FromHexString(text)
            : throw new SecretFileException($"it has {bytes.Length} bytes; a key is {KeyBytes} bytes or {2 * KeyBytes} hexadecimal digits.");
    }

    /// <summary>A password: the file's text without the line end.</summary>
    public static byte[] ReadPassword(string path)
    {
        var bytes = Read(path).AsSpan().TrimEnd("\r\n"u8);
        return bytes.Length > 0 ? bytes.ToArray() : throw new SecretFileException("it is empty.");
    }

    /// <summary>What is wrong with a file, or null.</summary>
    public static string? ErrorOf(string path, Func<string, byte[]> read)
    {
        try
        {
            read(path);
            return null;
        }
        catch (SecretFileException exception)
        {
            return exception.Message;
        }
    }

    private static byte[] Read(string path)
    {
        try
        {
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & OthersModes) is var mode and not UnixFileMode.None)
            {
                throw new SecretFileException($"others may read or write it ({mode}); take that away with chmod 600.");
            }

            var info = new FileInfo(path);
            return info.Length <= MaxFileBytes
                ? File.ReadAllBytes(path)
                : throw new SecretFileException($"it has {info.Length} bytes; the limit is {MaxFileBytes}.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SecretFileException($"it cannot be read: {exception.Message}", exception);
        }
    }
}
