using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace KvMesh.Gateway.Http;

/// <summary>Reads fields of requests. Each method gives a value, or the refusal that names the field.</summary>
internal static class RequestFields
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>A whole number within bounds, or its default when it is absent.</summary>
    public static bool TryNumber(
        string name, string? text, long lowest, long highest, long whenAbsent, out long value, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        refusal = null;
        value = whenAbsent;
        if (text is null || (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= lowest && value <= highest))
        {
            return true;
        }

        refusal = Problems.Field(name, text, $"it must be a whole number from {lowest} to {highest}");
        return false;
    }

    /// <summary>True or false; false when it is absent.</summary>
    public static bool TryFlag(string name, string? text, out bool value, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        refusal = text is null or "true" or "false" ? null : Problems.Field(name, text, "it must be true or false");
        value = text == "true";
        return refusal is null;
    }

    /// <summary>The caller's own tenant, or another one that the caller administers.</summary>
    public static bool TryTenant(
        NodeView node, Caller caller, string? name, [NotNullWhen(true)] out Tenant? tenant, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        refusal = null;
        tenant = caller.Tenant;
        if (string.IsNullOrEmpty(name) || name == caller.Tenant.Name)
        {
            return true;
        }

        if (!caller.May(AccessRights.Admin))
        {
            // Whether another tenant exists is none of the caller's business: the answer is the same.
            refusal = Problems.Field("tenant", name, $"this token may name only its own tenant, {caller.Tenant.Name}", StatusCodes.Status403Forbidden);
            tenant = null;
            return false;
        }

        tenant = node.Engine.Tenants.Find(name);
        refusal = tenant is null ? Problems.Field("tenant", name, "this node has no such tenant", StatusCodes.Status404NotFound) : null;
        return tenant is not null;
    }

    /// <summary>Key bytes from base64url, or from text.</summary>
    public static bool TryKey(string? key, string? text, out byte[] bytes, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        refusal = null;
        bytes = [];
        var (name, value) = text is null ? ("key", key) : ("text", text);
        if (key is not null && text is not null)
        {
            refusal = Problems.Field("key", key, "give either key or text, not both");
        }
        else if (string.IsNullOrEmpty(value))
        {
            refusal = Problems.Field("key", value, $"it must be 1 to {Limits.MaxKeyBytes} bytes in base64url, or give text");
        }
        else if (text is not null)
        {
            bytes = Encoding.UTF8.GetBytes(text);
        }
        else if (!TryBase64Url(value, out bytes))
        {
            refusal = Problems.Field("key", key, "it must be base64url");
        }

        if (refusal is null && bytes.Length > Limits.MaxKeyBytes)
        {
            refusal = Problems.Field(name, value, $"it has {bytes.Length} bytes and the limit is {Limits.MaxKeyBytes}");
        }

        return refusal is null;
    }

    /// <summary>The key as text, or null when it has bytes that are no printable UTF-8.</summary>
    public static string? TextOf(ReadOnlySpan<byte> key)
    {
        try
        {
            var text = StrictUtf8.GetString(key);
            return text.Any(char.IsControl) ? null : text;
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    private static bool TryBase64Url(string text, out byte[] bytes)
    {
        bytes = new byte[Base64Url.GetMaxDecodedLength(text.Length)];
        if (Base64Url.DecodeFromChars(text, bytes, out _, out var written) != OperationStatus.Done)
        {
            return false;
        }

        bytes = bytes[..written];
        return true;
    }
}
