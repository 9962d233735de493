<?xml version="1.0" encoding="UTF-8"?>
<!-- BizTalk Server and Azure Logic Apps: <CLM_ClaimInformation><CLM01_PatientControlNumber>, <C023_...><C02301_...>.
     A composite is named for its kind, not its place, so places are listed below; any other composite follows the
     element before it. Documents often begin at ST, the envelope being kept elsewhere. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:saxon="http://icl.com/saxon"
    xmlns:cl="urn:claimlint:dialect"
    cl:title="BizTalk Server, Azure Logic Apps"
    cl:detect="/*[namespace-uri() = 'http://schemas.microsoft.com/BizTalk/EDI/X12/2006'
        or starts-with(local-name(), 'X12_') or starts-with(local-name(), 'X12Interchange')]
        | //*[starts-with(local-name(), 'BHT_Beginning')]"
    cl:tag="SEG(?:_(?![\w.-]*Loop)[\w.-]*)?">
  <xsl:output method="text" encoding="UTF-8"/>
  <xsl:template match="text()"/>

  <xsl:variable name="places" select="' CLM/C023=5 CLM/C024=11 SV1/C003=1 SV1/C004=7 SVD/C003=3 DMG/C056=5 REF/C040=4
      PRV/C035=6 PWK/C002=8 QTY/C001=3 MEA/C001=4 CTP/C001=5 K3/C001=3 SV2/C003=2 SV3/C003=1 SV3/C006=4 SV3/C004=11
      SV5/C003=1 TOO/C005=3 '"/>

  <!-- A segment is what has a child such as CLM01_... or C022_...; REF_SubLoop has not. -->
  <xsl:template name="segment" match="*[string-length(substring-before(concat(local-name(), '_'), '_')) &lt; 4
      and *[number(substring(substring-after(local-name(), substring-before(concat(local-name(..), '_'), '_')), 1, 2))
            &gt; 0 or (starts-with(local-name(), 'C') and substring(local-name(), 5, 1) = '_'
             and number(substring(local-name(), 2, 3)) &gt; 0)]]">
    <xsl:variable name="id" select="substring-before(concat(local-name(), '_'), '_')"/>
    <xsl:variable name="from" select="string-length($id) + 1"/>
    <xsl:value-of select="concat(saxon:line-number(), '&#127;', $id)"/>
    <xsl:for-each select="*[* or starts-with(local-name(), $id)]">
      <xsl:choose>
        <xsl:when test="not(*)">
          <xsl:value-of select="concat('&#9;', substring(local-name(), $from, 2), '&#127;',
              translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
        </xsl:when>
        <xsl:otherwise>
          <xsl:variable name="kind" select="substring(local-name(), 1, 4)"/>
          <xsl:variable name="key" select="concat(' ', $id, '/', $kind, '=')"/>
          <xsl:text>&#9;</xsl:text>
          <xsl:choose>
            <xsl:when test="$id = 'HI'">
              <xsl:value-of select="count(preceding-sibling::*) + 1"/>
            </xsl:when>
            <xsl:when test="contains($places, $key)">
              <xsl:value-of select="substring-before(substring-after($places, $key), ' ')"/>
            </xsl:when>
            <xsl:otherwise>
              <xsl:value-of select="concat('0', substring(local-name(preceding-sibling::*[1]), $from, 2)) + 1"/>
            </xsl:otherwise>
          </xsl:choose>
          <xsl:text>&#127;</xsl:text>
          <xsl:for-each select="*">
            <xsl:value-of select="concat('&#13;', substring(local-name(), 5, 2), '&#127;',
                translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
          </xsl:for-each>
        </xsl:otherwise>
      </xsl:choose>
    </xsl:for-each>
    <xsl:text>&#10;</xsl:text>
  </xsl:template>
</xsl:stylesheet>
